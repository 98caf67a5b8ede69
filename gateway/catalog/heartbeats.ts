/**
 * Heartbeats: the last heartbeat of every process of the namespace, kept while it is fresh.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { HeartbeatJoiner, parseHeartbeat } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat, InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import type { InstanceStatus } from '../../infra/store/index.ts'

/** A process that was silent for this long is no longer reported. */
const freshMs = 30_000
/** After this long a gateway has heard every process that beats each second. */
const firstBeatsMs = 2_500
const kept = 10_000
/** Heartbeats of this last while tell which producers live. */
export const producersSpokeMs = 5_000
/** Processes beat each second. */
const silentAfterMs = 2_500

interface Heard {
  readonly beat: Heartbeat
  readonly atMs: number
}

export class Heartbeats {
  readonly #clock: Clock
  readonly #joiner = new HeartbeatJoiner()
  readonly #heard = new Map<string, Heard>()
  readonly #sinceMs: number
  /** Called at each heartbeat, for callers of `firstBeats`. */
  readonly #waiting = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#sinceMs = clock.monotonicMs()
  }

  /**
   * Takes a message from the bus.
   * @returns The heartbeat that it completes; undefined if it completes none, or is not one.
   */
  take(bytes: Uint8Array): Heartbeat | undefined {
    const part = parseHeartbeat(bytes)
    const beat = part === undefined ? undefined : this.#joiner.take(part)
    if (beat === undefined) return undefined
    this.#heard.delete(beat.id) // so that the map is in order of time
    this.#heard.set(beat.id, { beat, atMs: this.#clock.monotonicMs() })
    for (const [id, { atMs }] of this.#heard) {
      if (this.#heard.size <= kept && this.#clock.monotonicMs() - atMs < freshMs) break
      this.#heard.delete(id)
    }
    for (const look of this.#waiting) look()
    return beat
  }

  /** The last fresh heartbeat: of a runner by its task id, of a gateway by its own id. */
  of(id: string): Heartbeat | undefined {
    const heard = this.#heard.get(id)
    return heard !== undefined && this.#clock.monotonicMs() - heard.atMs < freshMs ? heard.beat : undefined
  }

  /**
   * Whether to believe what the store says about a process: the process was heard, or this gateway has not listened
   * long enough to hear it. The store may name processes that were ended while no scheduler was there to write it
   * down.
   */
  confirms(id: string | undefined): boolean {
    const listenedMs = this.#clock.monotonicMs() - this.#sinceMs
    return listenedMs >= freshMs || (id !== undefined && this.of(id) !== undefined)
  }

  /** Resolves once each of these processes was heard, or this gateway has listened long enough. */
  async firstBeats(ids: readonly string[]): Promise<void> {
    const leftMs = this.#sinceMs + firstBeatsMs - this.#clock.monotonicMs()
    const isWhole = () => ids.every((id) => this.#heard.has(id))
    if (leftMs <= 0 || isWhole()) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => isWhole() && resolve()
    this.#waiting.add(look)
    const cancel = this.#clock.after(leftMs, resolve)
    await promise
    cancel()
    this.#waiting.delete(look)
  }

  /** How long a process has been silent. If it was never heard: how long this gateway has listened. */
  silentMs(id: string): number {
    return this.#clock.monotonicMs() - (this.#heard.get(id)?.atMs ?? this.#sinceMs)
  }

  /** Whether it has missed two beats, or was never heard. */
  isSilent(id: string): boolean {
    return this.of(id) === undefined || this.silentMs(id) > silentAfterMs
  }

  /** The accounts in the heartbeats of the last `withinMs`. */
  *spoken(withinMs: number): Generator<OutputLedger> {
    const afterMs = this.#clock.monotonicMs() - withinMs
    for (const { beat, atMs } of this.#heard.values()) {
      if (atMs < afterMs) continue
      yield* beat.outputs ?? []
      for (const { outputs } of beat.instances) yield* outputs
    }
  }

  /** The heartbeats of all processes that are not runners and have not stopped. */
  ofClients(): Heartbeat[] {
    const clients = [...this.#heard.keys()].map((id) => this.of(id))
    return clients.filter(
      (beat) => beat !== undefined && beat.kind !== 'runner' && beat.state !== 'stopped',
    ) as Heartbeat[]
  }
}

/**
 * An instance's report in a heartbeat. A packed runner reports for a while also about instances that have left. Such
 * a report counts only as long as the status still names its epoch.
 */
export function reportOf(
  beat: Heartbeat | undefined,
  { id, epoch }: Pick<InstanceStatus, 'id' | 'epoch'>,
): InstanceReport | undefined {
  const mine = beat?.instances.filter((report) => report.id === id) ?? []
  return (
    mine.find(({ state }) => state !== 'stopped' && state !== 'failed') ?? mine.find((r) => r.epoch === epoch)
  )
}
