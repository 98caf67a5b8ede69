/**
 * Heartbeats: the last heartbeat of every process of the namespace, kept while it is fresh, and the rates of the last seconds.
 *
 *   HE1. While this gateway hears nobody, not even itself, it is cut off, or NATS is away. Nobody else grows silent meanwhile: what was
 *        heard stays, and `deafMs` says how old it is.
 * Design: docs/design/0038-who-can-know.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { HeartbeatJoiner, parseHeartbeat, Series } from '../../infra/control/index.ts'
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
/** Over less than this, neither rates nor shares of time mean much. */
const observedSecondsMin = 1.5

interface Heard {
  readonly beat: Heartbeat
  readonly series: Series
  readonly atMs: number
}

/** Records a second that are sent to a reader, and that are done with: processed or dropped. */
export interface Rates {
  readonly sentPerSecond: number
  readonly donePerSecond: number
}

export class Heartbeats {
  readonly #clock: Clock
  readonly #joiner = new HeartbeatJoiner()
  readonly #heard = new Map<string, Heard>()
  readonly #sinceMs: number
  /** HE1. When something was heard last, by `#timeMs`. */
  #lastMs: number | undefined
  /** How long it was deaf so far. */
  #lostMs = 0
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
    this.#lostMs += this.deafMs
    const atMs = this.#timeMs()
    this.#lastMs = atMs
    const { series } = this.#heard.get(beat.id) ?? { series: new Series({ lean: true }) }
    series.hear(beat, atMs)
    this.#heard.delete(beat.id) // so that the map is in order of time
    this.#heard.set(beat.id, { beat, series, atMs })
    for (const [id, { atMs }] of this.#heard) {
      if (this.#heard.size <= kept && this.#timeMs() - atMs < freshMs) break
      this.#heard.delete(id)
    }
    for (const look of this.#waiting) look()
    return beat
  }

  /** The last fresh heartbeat: of a runner by its task id, of a gateway by its own id. */
  of(id: string): Heartbeat | undefined {
    const heard = this.#heard.get(id)
    return heard !== undefined && this.#timeMs() - heard.atMs < freshMs ? heard.beat : undefined
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
    return this.#timeMs() - (this.#heard.get(id)?.atMs ?? this.#sinceMs)
  }

  /** How long ago a time was that a process has told: by the clock of that process, which may have been set. */
  agoMs(beat: Pick<Heartbeat, 'id' | 'sentAtMs'>, atMs: number): number {
    return Math.max(0, beat.sentAtMs - atMs) + this.silentMs(beat.id)
  }

  /** How much too old all of it is, since this gateway hears nobody (HE1); 0: it hears, or has never heard. */
  get deafMs(): number {
    if (this.#lastMs === undefined) return 0
    return Math.max(0, this.#clock.monotonicMs() - this.#lostMs - this.#lastMs - silentAfterMs)
  }

  /** The same as a sentence; undefined: it hears. */
  get unheard(): string | undefined {
    const { deafMs } = this
    if (deafMs === 0) return undefined
    const seconds = Math.floor((deafMs + silentAfterMs) / 1000)
    return `this gateway has heard nothing over NATS for ${seconds} s, not even itself: what is shown is from before`
  }

  /** The time during which somebody was heard, or could be. */
  #timeMs(): number {
    return this.#clock.monotonicMs() - this.#lostMs - this.deafMs
  }

  /** Whether it has missed two beats, or was never heard. */
  isSilent(id: string): boolean {
    return this.of(id) === undefined || this.silentMs(id) > silentAfterMs
  }

  /**
   * How an instance has spent the last seconds, in shares of 1. Undefined: its process is silent, or was not heard for long enough, or
   * the instance does not work.
   */
  timeOf(
    taskId: string | undefined,
    id: string,
  ): { readonly busy: number; readonly blocked: number } | undefined {
    if (taskId === undefined || this.isSilent(taskId)) return undefined
    const rates = this.#heard.get(taskId)!.series.instances(() => undefined)
    const found = [...rates].find(({ report, seconds }) => report.id === id && seconds >= observedSecondsMin)
    return found && { busy: found.busy, blocked: found.blocked }
  }

  /** What comes to a reader of a stream, and what it does of it. Undefined: a process that sends to it is silent, or new. */
  rates(stream: string, reader: string): Rates | undefined {
    let [sentPerSecond, donePerSecond, seconds] = [0, 0, Number.POSITIVE_INFINITY]
    for (const [id, { beat, series }] of this.#heard) {
      if (beat.state === 'stopped') continue
      const rows = [...series.outputs()].filter((row) => row.stream === stream && row.consumer === reader)
      if (rows.length === 0) continue
      if (this.isSilent(id)) return undefined
      seconds = Math.min(seconds, series.seconds)
      for (const { sent, acked } of rows) {
        sentPerSecond += sent
        donePerSecond += acked
      }
    }
    if (seconds < observedSecondsMin || seconds === Number.POSITIVE_INFINITY) return undefined
    return { sentPerSecond, donePerSecond }
  }

  /** The accounts in the heartbeats of the last `withinMs`. */
  *spoken(withinMs: number): Generator<OutputLedger> {
    const afterMs = this.#timeMs() - withinMs
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
