/**
 * Readiness: whether an instance has work and room for its results, and the wait until it has.
 *
 *   RD1. Beyond a bound, no input is taken while outputs lack credit or dead letters are unconfirmed: memory is
 *        bounded, and a slow reader slows its writers.
 *   RD2. Work between two batches (a swap, a share, a cut, the end) comes before the next batch.
 *   RD3. While the process is full, one batch begins a turn (process/relief.ts).
 * Design: docs/design/0005-runner.md
 * @module
 */
import type { Consumer, Producer } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { Apart } from '../failures/apart.ts'
import type { SetAside } from '../failures/aside.ts'
import { type LetterBox, openBytesMax } from '../failures/letter-box.ts'
import type { BatchResult, Isolate } from '../isolate/index.ts'
import type { Standing } from '../process/relief.ts'
import type { BetweenBatches } from '../succession/between-batches.ts'
import type { Succession } from '../succession/succession.ts'
import type { Usage } from '../usage/usage.ts'
import type { WorkTime } from '../usage/work-time.ts'
import type { TakenFrames } from './taken-frames.ts'

/** Bytes of outputs without credit beyond which no input is taken. */
const heldBytesMax = 1024 * 1024

export interface ReadinessOptions {
  readonly clock: Clock
  readonly consumer: Consumer
  readonly producer: Producer
  readonly letters: LetterBox
  readonly taken: TakenFrames
  readonly aside: SetAside
  readonly apart: Apart
  readonly usage: Usage
  readonly time: WorkTime
  readonly between: BetweenBatches
  readonly succession: Succession
  readonly keeper: StateKeeper | undefined
  readonly standing: Standing
  readonly stopping: AbortSignal
  /** Whether a batch has been processed. */
  readonly hasBegun: () => boolean
}

export class Readiness {
  readonly #options: ReadinessOptions
  #wake: () => void = () => undefined
  #cancelTimer: (() => void) | undefined
  /** In which the last batch began. */
  #turn = Number.NaN

  constructor(options: ReadinessOptions) {
    this.#options = options
  }

  /** Wakes the waiter, because something has changed. */
  wake(): void {
    this.#wake()
  }

  /** Notes that a batch begins. */
  begun(): void {
    this.#turn = this.#options.standing.turn
  }

  /** Waits until there is work and room for its results, or the instance stops. */
  async untilWork(): Promise<void> {
    const { taken, aside, apart, usage, time, stopping } = this.#options
    while (!stopping.aborted && !this.hasOtherWork) {
      const room = this.#hasRoom
      const input = taken.hasInput || this.#timerIsDue()
      if (room && this.#isTurn && usage.cpu.isReady && (apart.isDue || (input && !aside.full))) return
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      if (room && this.#isTurn) this.#planTimer() // a turn wakes it
      time.waits(room ? (input ? 'time' : 'input') : 'credit')
      await promise
      time.went()
      this.#cancelTimer?.()
    }
  }

  /** Whether the next batch may run before this batch's outputs are published. */
  mayGoOn({ fatal }: BatchResult): boolean {
    const { consumer, taken, aside, apart, usage, succession, stopping } = this.#options
    if (fatal !== undefined || stopping.aborted || this.hasOtherWork || succession.onTrial) return false
    if (
      !this.#hasRoom ||
      !this.#isTurn ||
      !usage.cpu.isReady ||
      consumer.hasTried ||
      aside.full ||
      apart.isDue
    )
      return false
    return taken.hasInput || this.#timerIsDue()
  }

  /** Whether there is work to do before the next batch (RD2). */
  get hasOtherWork(): boolean {
    const { between, succession, apart } = this.#options
    return between.waits || succession.waits || apart.ending !== undefined || this.isCutDue
  }

  /**
   * Whether a cut is due. Not before the first timers have run: an instance that ends in them without a cut of its
   * own is suspected of them (timers-apart.ts).
   */
  get isCutDue(): boolean {
    const { keeper, hasBegun } = this.#options
    return keeper?.due === true && (hasBegun() || !this.#hasRoom || !this.#timerIsDue())
  }

  /** Whether there is room for more outputs and dead letters (RD1). */
  get #hasRoom(): boolean {
    const { producer, letters } = this.#options
    return producer.heldBytes <= heldBytesMax && letters.openBytes <= openBytesMax
  }

  /** Whether a batch may begin in this turn (RD3). */
  get #isTurn(): boolean {
    const { isFull, turn } = this.#options.standing
    return !isFull || turn !== this.#turn
  }

  get #isolate(): Isolate {
    return this.#options.succession.running.isolate
  }

  #timerIsDue(): boolean {
    const nextMs = this.#isolate.nextTimerMs
    return nextMs !== undefined && nextMs <= this.#options.clock.nowMs()
  }

  #planTimer(): void {
    const { clock, usage, aside, apart } = this.#options
    const timerMs = (this.#isolate.nextTimerMs ?? Number.POSITIVE_INFINITY) - clock.nowMs()
    const nextMs = usage.cpu.isReady
      ? Math.min(aside.full ? Number.POSITIVE_INFINITY : timerMs, apart.dueInMs)
      : usage.cpu.readyMs - clock.monotonicMs()
    this.#cancelTimer = undefined
    if (nextMs === Number.POSITIVE_INFINITY) return
    this.#cancelTimer = clock.after(Math.min(2 ** 31 - 1, Math.max(0, nextMs)), () => this.#wake())
  }
}
