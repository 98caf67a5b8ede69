/**
 * Player: an isolate that repeats calls: it gets their records again, and its outputs are discarded.
 *
 *   PY1. It processes the given records in order and each once, without those that are put off. A record at which it throws is skipped.
 *   PY2. Time and random numbers are those of the call (I6), and so many timers come before its records. State is its own copy.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import { giveBackMemory } from '../../infra/bus/index.ts'
import { type Clock, systemClock } from '../../infra/clock.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import { policyOf } from '../../sdk/manifest/policy.ts'
import type { KeyShare } from '../../sdk/wire/key-share.ts'
import {
  behind,
  type InputFrame,
  type IsolateOptions,
  type IsolateStats,
  type RecordFailure,
  SingleIsolate,
} from '../isolate/index.ts'

/** A call to be repeated. */
export interface Given {
  readonly frames: readonly InputFrame[]
  /** How many records of the frames. */
  readonly records: number
  /** Indexes of the records that are left out. */
  readonly putOff: readonly number[]
  readonly nowMs: number
  readonly batch: number
  /** How many timers it called; default: those that are due. */
  readonly timers?: number
  /** The keys to be processed; default: all. */
  readonly share?: KeyShare
}

export interface Played {
  /** The outcome log. */
  readonly log: Uint8Array<ArrayBuffer>
  readonly ms: number
  /** Why the isolate has ended. */
  readonly fatal?: Error
}

/** Slabs of each partition, at rest. */
export type StateCopy = ReadonlyMap<number, readonly SharedArrayBuffer[]>

export type PlayerOptions = Omit<IsolateOptions, 'clock'> & {
  readonly clock?: Clock
  /** Called with the records at which it throws. */
  readonly onFailures?: (failures: readonly RecordFailure[]) => void
  /** Ends it while it is being made; afterwards `end` does. */
  readonly stop?: AbortSignal | undefined
}

/** Calls in a row without progress, after which it is given up. */
const idleTurnsMax = 50
/** Where a frame says how many records it has. */
const countAt = 28

export class Player {
  readonly #instance: SingleIsolate
  readonly #clock: ShiftedClock
  readonly #onFailures: PlayerOptions['onFailures']
  #timersLeft = 0

  private constructor(instance: SingleIsolate, clock: ShiftedClock, onFailures: PlayerOptions['onFailures']) {
    this.#instance = instance
    this.#clock = clock
    this.#onFailures = onFailures
  }

  /** @throws {CodedError} Why it cannot be made. */
  static async create({ onFailures, stop, ...options }: PlayerOptions): Promise<Player> {
    const clock = new ShiftedClock(options.clock ?? systemClock)
    const manifest = { ...options.manifest, onError: skipping(options.manifest) }
    const instance = await SingleIsolate.create({ ...options, manifest, clock }, stop)
    return new Player(instance, clock, onFailures)
  }

  /** Takes over a copy of state; before the first call. */
  async adopt(state: StateCopy): Promise<void> {
    for (const [partition, slabs] of state) await this.#instance.adopt(partition, slabs)
  }

  async play(given: Given): Promise<Played> {
    const instance = this.#instance
    const pieces: Uint8Array[] = []
    this.#clock.set(given.nowMs)
    instance.watch((piece) => pieces.push(piece.slice()))
    const startMs = this.#clock.monotonicMs()
    let fatal: Error | undefined
    this.#timersLeft = given.timers ?? Number.POSITIVE_INFINITY
    for (const [from, to] of partsOf(given)) {
      fatal = await this.#run(given, from, to)
      if (fatal !== undefined) break
    }
    instance.watch(undefined)
    const ms = this.#clock.monotonicMs() - startMs
    return { log: joined(pieces), ms, ...(fatal === undefined ? {} : { fatal }) }
  }

  stats(): IsolateStats {
    return this.#instance.stats()
  }

  end(): void {
    this.#instance.kill()
  }

  /** After `end`. @returns Whether the memory of its state may be used again. */
  ended(): Promise<boolean> {
    return this.#instance.ended()
  }

  /** @returns Why it has ended. */
  async #run({ frames, nowMs, batch, share }: Given, from: number, to: number): Promise<Error | undefined> {
    const instance = this.#instance
    let idle = 0
    for (let at = from; ; ) {
      const timers = this.#timersLeft
      let fired = 0
      let result = await instance.run(between(frames, at, to), nowMs, { share, batch, timers })
      for (;;) {
        for (const { frame } of result.outputs()) giveBackMemory(frame)
        this.#onFailures?.(result.failures)
        at += result.records
        fired += result.timersFired
        if (result.records + result.timersFired > 0) idle = 0
        if (result.fatal !== undefined) return result.fatal
        if (!result.pending) break
        result = await instance.resume()
      }
      this.#timersLeft -= fired
      const isTimersOver =
        fired === 0 || this.#timersLeft === 0 || this.#timersLeft === Number.POSITIVE_INFINITY
      if (at >= to && isTimersOver) return undefined
      if (++idle > idleTurnsMax) return new Error('it does nothing any more')
    }
  }
}

/** The ranges of records between those that are put off. Due timers are called with the first one. */
function partsOf({ putOff, records }: Given): (readonly [number, number])[] {
  const parts: (readonly [number, number])[] = []
  let from = 0
  for (const index of [...putOff, records]) {
    if (index > from) parts.push([from, index])
    from = index + 1
  }
  return parts.length === 0 ? [[0, 0]] : parts
}

/** Records `from` to `to` of frames. Where a frame is not given to its end, the count in it is changed: it is our copy. */
function between(frames: readonly InputFrame[], from: number, to: number): InputFrame[] {
  let left = to - from
  return behind(frames, from).flatMap((frame) => {
    const count = Math.min(frame.header.count, frame.skip + left)
    left -= count - frame.skip
    if (count === frame.skip) return []
    const { bytes } = frame
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(countAt, count, true)
    return [{ ...frame, header: { ...frame.header, count } }]
  })
}

/** The policy that processes each record once, with its retries in the same call (PY1). */
function skipping({ onError }: Manifest): Manifest['onError'] {
  const { retries } = policyOf(onError)
  if (retries === 0) return 'skip'
  // biome-ignore lint/suspicious/noThenProperty: never a function, so never a thenable -- manifest
  return { retry: retries, then: 'skip', waitMs: 0, waitMaxMs: 0, keepOrder: false }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const log = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    log.set(piece, at)
    at += piece.length
  }
  return log
}

/** A clock whose wall time is set to the past and runs on from there. */
class ShiftedClock implements Clock {
  readonly #clock: Clock
  #aheadMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  set(nowMs: number): void {
    this.#aheadMs = nowMs - this.#clock.nowMs()
  }

  nowMs(): number {
    return this.#clock.nowMs() + this.#aheadMs
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#clock.after(delayMs, run)
  }
}
