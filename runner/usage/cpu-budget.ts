/**
 * CpuBudget: how much CPU time the callbacks of an instance may use in a second (`limits.cpuMsPerSecond`).
 *
 * A token bucket: time is added evenly, up to that of a second, and a batch spends what its isolate used. In debt, the instance takes
 * no input until the debt is paid, so its senders wait; nothing is lost. The limit protects its neighbours.
 * An isolate's clock runs on while its thread waits for a CPU. So a batch is charged the lesser of that and of what the whole
 * process used meanwhile; both are at least what the callbacks used.
 *
 *   CB1. In any time t an instance uses at most `limit × (t + 1 s)`, and one slice of a batch.
 *   CB2. It is charged no more than its process has used.
 * Design: docs/design/0018-limits.md
 * @module
 */
import { nextOf, type TakenFrame } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'

const secondMs = 1000
/** The least time between two lines of the log. */
const tellEveryMs = 10_000

/** An isolate. */
export interface CpuUser {
  /** Since it was made, with the time that its thread waited for a CPU. */
  readonly cpuSeconds: number
}

export interface CpuBudgetOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** The limit of the working version, in milliseconds of CPU a second; undefined: none. */
  readonly msPerSecond: () => number | undefined
  /** CPU time of this process so far. */
  readonly processMs: () => number
  /** Called now and then while the instance is held back. */
  readonly warn: (message: string) => void
}

export class CpuBudget {
  readonly #options: CpuBudgetOptions
  #balanceMs = Number.POSITIVE_INFINITY
  #countedMs: number
  /** When the next batch may begin. */
  #readyMs = Number.NEGATIVE_INFINITY
  #isolate: CpuUser | undefined
  #usedMs = 0
  #processMs: number
  #toldMs = Number.NEGATIVE_INFINITY
  #throttledMs = 0

  constructor(options: CpuBudgetOptions) {
    this.#options = options
    this.#countedMs = options.clock.monotonicMs()
    this.#processMs = options.processMs()
  }

  /** How long the instance has been held back so far. */
  get throttledMs(): number {
    return this.#throttledMs
  }

  /** When the next batch may begin, on the monotonic clock. */
  get readyMs(): number {
    return this.#readyMs
  }

  get isReady(): boolean {
    return this.#readyMs <= this.#options.clock.monotonicMs()
  }

  /** After a batch. @param frame The last of the batch; none if it was for timers. */
  spend(isolate: CpuUser, frame: TakenFrame | undefined): void {
    const limitMs = this.#options.msPerSecond()
    if (limitMs === undefined) return
    const nowMs = this.#options.clock.monotonicMs()
    const totalMs = isolate.cpuSeconds * secondMs
    const processMs = this.#options.processMs()
    const inIsolateMs = Math.max(0, totalMs - (this.#isolate === isolate ? this.#usedMs : 0))
    const usedMs = Math.min(inIsolateMs, processMs - this.#processMs)
    this.#isolate = isolate
    this.#usedMs = totalMs
    this.#processMs = processMs
    const earnedMs = ((nowMs - this.#countedMs) * limitMs) / secondMs
    this.#balanceMs = Math.min(limitMs, this.#balanceMs + earnedMs) - usedMs
    this.#countedMs = nowMs
    if (this.#balanceMs >= 0) return
    const waitMs = (-this.#balanceMs * secondMs) / limitMs
    this.#readyMs = nowMs + waitMs
    this.#throttledMs += waitMs
    if (nowMs - this.#toldMs < tellEveryMs) return
    this.#toldMs = nowMs
    const at = frame === undefined ? 'timers' : `${frame.stream}/${frame.partition} #${nextOf(frame)}`
    this.#options.warn(
      `Held back for ${Math.round(waitMs)} ms at ${at}: a batch used ${Math.round(usedMs)} ms of CPU, and it may have ${limitMs} in a second (limits.cpuMsPerSecond)`,
    )
  }
}
