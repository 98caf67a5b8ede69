/**
 * TokenBucket: lets a number of bytes pass per second, and a tenth of a second's worth at once.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'

const burstMs = 100

export class TokenBucket {
  readonly #clock: Clock
  readonly #bytesPerSecond: number
  /** When everything that has passed will be paid for. */
  #paidMs = Number.NEGATIVE_INFINITY
  #open = false
  readonly #wakers = new Set<() => void>()

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Lifts the limit, or applies it again. */
  open(isOpen = true): void {
    this.#open = isOpen
    if (isOpen) for (const wake of this.#wakers) wake()
  }

  /** Waits until `bytes` may pass. */
  async take(bytes: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    this.#paidMs = Math.max(this.#paidMs, nowMs - burstMs) + (bytes * 1000) / this.#bytesPerSecond
    const delayMs = this.#paidMs - nowMs
    if (this.#open || delayMs <= 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wakers.add(resolve)
    const cancel = this.#clock.after(delayMs, resolve)
    await promise
    cancel()
    this.#wakers.delete(resolve)
  }
}
