/**
 * Relief: what gives way when the memory of the process runs short, so that the watchdog need not end it (and lose records).
 *
 *     ample ──(85 % of the bound)──► short ──(92 %)──► full
 *       ▲◄────────(below 75 %)─────────┘ ▲◄──(below)───┘
 *
 *   RF1. From short on, what is kept for reuse or for later goes: spare blocks, most of the tapes, and the garbage of this heap and of
 *        the isolates (texts of batches above all, of which V8 keeps 64 MiB). Every ten seconds at most, every second while full: a
 *        collection takes milliseconds.
 *   RF2. While short, producers get a quarter of the window.
 *   RF3. While full, an instance begins one small batch a turn: it is slowed down and never stopped, for what fills memory may be its state,
 *        which does not go away by waiting.
 *   RF4. What a checkpoint under way may copy yet counts as in use: where keys are spread, a few batches change every page.
 *   RF5. A look costs one read in `/proc`, ten times a second; a batch reads two fields.
 * Design: docs/design/0018-limits.md
 * @module
 */
import { limitKeptMemory } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { Memory } from './memory.ts'

/** The part of the bound below which there is enough again. */
export const ampleShare = 0.75
const [shortShare, fullShare] = [0.85, 0.92]
const turnMs = 100
const [relieveEveryMs, relieveFullEveryMs] = [10_000, 1_000]
const warnEveryMs = 60_000
/** Of spare blocks, while short. */
const keptBytesMax = 2 ** 20

/** How memory stands, for an instance. */
export interface Standing {
  readonly isShort: boolean
  readonly isFull: boolean
  /** Counts the looks. */
  readonly turn: number
  /** Looks at once, because much memory may soon be used. */
  look(): void
}

/** There is memory enough. */
export const ample: Standing = { isShort: false, isFull: false, turn: 0, look: () => undefined }

/** An instance that gives way. */
export interface Relieved {
  /** Memory that it is about to use. */
  readonly bytesAhead: number
  /** Memory has become short, or ample again. */
  narrow(isShort: boolean): void
  /** Collects its isolate's garbage, between two batches. */
  relieve(): void
  /** A turn has begun. */
  wake(): void
}

export interface ReliefOptions {
  readonly clock: Clock
  readonly memory: Pick<Memory, 'bytes' | 'bytesMax' | 'giveBack'>
  readonly workers: ReadonlyMap<string, Relieved>
  /** Called when it is full, once a minute at most. */
  readonly onFull: () => void
}

export class Relief implements Standing {
  readonly #options: ReliefOptions
  #isShort = false
  #isFull = false
  #turn = 0
  #warnedMs = Number.NEGATIVE_INFINITY

  constructor(options: ReliefOptions) {
    this.#options = options
    this.#plan()
  }

  get isShort(): boolean {
    return this.#isShort
  }

  get isFull(): boolean {
    return this.#isFull
  }

  get turn(): number {
    return this.#turn
  }

  #plan(): void {
    this.#options.clock.after(turnMs, () => {
      this.look()
      this.#plan()
    })
  }

  look(): void {
    const { memory, workers } = this.#options
    let bytes = memory.bytes()
    for (const { bytesAhead } of workers.values()) bytes += bytesAhead
    const share = bytes / memory.bytesMax
    const [wasShort, wasFull] = [this.#isShort, this.#isFull]
    this.#turn += 1
    this.#isShort = share > (wasShort ? ampleShare : shortShare)
    this.#isFull = share > fullShare
    if (this.#isShort !== wasShort) {
      limitKeptMemory(this.#isShort ? keptBytesMax : undefined)
      for (const worker of workers.values()) worker.narrow(this.#isShort)
    }
    if (share > shortShare && memory.giveBack(this.#isFull ? relieveFullEveryMs : relieveEveryMs))
      for (const worker of workers.values()) worker.relieve()
    if (this.#isFull) this.#warn()
    if (wasFull) for (const worker of workers.values()) worker.wake()
  }

  #warn(): void {
    const { clock, onFull } = this.#options
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#warnedMs < warnEveryMs) return
    this.#warnedMs = nowMs
    onFull()
  }
}
