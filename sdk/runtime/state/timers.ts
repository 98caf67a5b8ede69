/**
 * Timers: which timer is next, over the state of all partitions.
 *
 *   T1. A timer is the pair (key, timeMs) within its partition: setting it twice sets it once.
 *   T2. `takeDue` returns timers by time, and those of the same time in the order in which they were set. A timer
 *       that is set in the past counts as set for that moment, so that a function that keeps setting such timers
 *       cannot delay the others.
 *   T3. Where two versions share the keys, one passes over at most `othersMost` timers of the other's in a partition and batch, and
 *       then leaves the rest to the next batch. The first one is somebody's, so both go on.
 *   T4. Taking a timer is part of the transaction of its partition's state: if that is undone, the timer is set
 *       again.
 * @module
 */
import type { DueTimer, KeyedState, Seen } from '../arena/keyed-state.ts'
import { append } from '../realm/primordials.ts'
import type { Share } from '../records/share.ts'
import type { Timer, TimerAtHand } from '../shared/timer-at-hand.ts'

/** ≈ 0.1 ms. */
const othersMost = 256

export class Timers {
  /** By partition; shared with the engine. */
  readonly #states: readonly (KeyedState | undefined)[]
  readonly #atHand: TimerAtHand | undefined
  #orderNext = 0
  /** By partition: where the share of this batch is (T3). */
  readonly #seen: Seen[] = []

  /** @param atHand Notes the timer that was taken last. */
  constructor(states: readonly (KeyedState | undefined)[], atHand?: TimerAtHand) {
    this.#states = states
    this.#atHand = atHand
  }

  /** Higher than the order of all timers so far: distinguishes those that are set later. */
  get orderNext(): number {
    return this.#orderNext
  }

  /** The state of another partition has arrived. */
  opened(state: KeyedState): void {
    this.#orderNext = Math.max(this.#orderNext, state.timers.orderNext)
  }

  /** Called before a batch. */
  begin(): void {
    this.#seen.length = 0
  }

  set(state: KeyedState, key: string, timeMs: number, nowMs: number): void {
    if (state.timers.set(key, timeMs, Math.max(timeMs, nowMs), this.#orderNext)) this.#orderNext++
  }

  /**
   * Takes the earliest timer of the share that is due at `nowMs` and was set before `orderEnd`; it is then no longer
   * set.
   */
  takeDue(nowMs: number, orderEnd: number, share?: Share): Timer | undefined {
    const isWhole = share === undefined || share.isWhole
    const timer = isWhole ? this.#takeFirst(nowMs, orderEnd) : this.#takeOf(share, nowMs, orderEnd)
    if (timer !== undefined) this.#atHand?.put(timer)
    return timer
  }

  #takeFirst(nowMs: number, orderEnd: number): Timer | undefined {
    let first: KeyedState | undefined
    let partition = 0
    for (let i = 0; i < this.#states.length; i++) {
      const state = this.#states[i]
      if (state === undefined || (first !== undefined && !isBefore(state, first))) continue
      first = state
      partition = i
    }
    if (first === undefined || first.timers.dueMs > nowMs || first.timers.order >= orderEnd) return undefined
    const timer = first.timers.take()
    return timer === undefined ? undefined : { partition, key: timer.key, timeMs: timer.timeMs }
  }

  #takeOf(share: Share, nowMs: number, orderEnd: number): Timer | undefined {
    let first: DueTimer | undefined
    let from = 0
    for (let partition = 0; partition < this.#states.length; partition++) {
      if (partition === this.#seen.length)
        append(this.#seen, { dueMs: Number.NEGATIVE_INFINITY, order: 0, left: othersMost })
      const timers = this.#states[partition]?.timers
      if (timers === undefined || timers.dueMs > nowMs) continue
      const found = timers.firstOf(nowMs, orderEnd, share, this.#seen[partition]!)
      if (found === undefined || (first !== undefined && !isEarlier(found, first))) continue
      first = found
      from = partition
    }
    if (first === undefined) return undefined
    this.#states[from]!.timers.delete(first.key, first.timeMs)
    return { partition: from, key: first.key, timeMs: first.timeMs }
  }
}

function isBefore({ timers: one }: KeyedState, { timers: other }: KeyedState): boolean {
  return isEarlier(one, other)
}

type Due = Pick<DueTimer, 'dueMs' | 'order'>

function isEarlier(one: Due, other: Due): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order)
}
