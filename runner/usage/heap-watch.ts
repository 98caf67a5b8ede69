/**
 * HeapWatch: notices when the heap of an isolate stays near its limit, so that a fresh one takes over before V8 ends it.
 *
 * Between two collections a heap holds garbage, so the least size seen over a while counts.
 *   HW1. It asks for a fresh isolate only if each look of `windowMs` saw at least `softShare` of the limit.
 *   HW2. After that it asks no more for `restMs`: a function that fills each new heap at once meets its limit.
 * Design: docs/design/0018-limits.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'

const softShare = 0.8
/** Looking takes some microseconds. */
const lookEveryMs = 100
const windowMs = 1_000
const restMs = 10_000

export interface HeapUser {
  readonly isEnded: boolean
  stats(): { readonly heapBytes: number }
}

export class HeapWatch {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #limitMib: () => number
  readonly #onFull: (heapBytes: number) => void
  #isolate: HeapUser | undefined
  #lookMs = Number.NEGATIVE_INFINITY
  /** Since when every look has seen too much, and the least of them. */
  #sinceMs = Number.POSITIVE_INFINITY
  #leastBytes = Number.POSITIVE_INFINITY
  #askedMs = Number.NEGATIVE_INFINITY

  /** @param limitMib Of the version at work. */
  constructor(
    clock: Pick<Clock, 'monotonicMs'>,
    limitMib: () => number,
    onFull: (heapBytes: number) => void,
  ) {
    this.#clock = clock
    this.#limitMib = limitMib
    this.#onFull = onFull
  }

  /** After a batch. */
  look(isolate: HeapUser): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#lookMs < lookEveryMs || isolate.isEnded) return
    this.#lookMs = nowMs
    const { heapBytes } = isolate.stats()
    const isFull = heapBytes >= this.#limitMib() * 2 ** 20 * softShare
    if (!isFull || this.#sinceMs === Number.POSITIVE_INFINITY || this.#isolate !== isolate) {
      this.#isolate = isolate
      this.#sinceMs = isFull ? nowMs : Number.POSITIVE_INFINITY
      this.#leastBytes = heapBytes
      return
    }
    this.#leastBytes = Math.min(this.#leastBytes, heapBytes)
    if (nowMs - this.#sinceMs < windowMs || nowMs - this.#askedMs < restMs) return
    this.#askedMs = nowMs
    this.#onFull(this.#leastBytes)
  }
}
