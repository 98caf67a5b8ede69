/**
 * TimerDesk: what is done with single timers beside callbacks, between two batches, for the host.
 *
 *   TD1. It leaves all arenas at rest, and commits by an entry of the outcome log, as whatever the runtime does by itself: a log
 *        that is empty says that there was no room, or nobody to take it.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { KeyedState } from '../arena/keyed-state.ts'
import type { Workshop } from '../callback/scope.ts'
import type { Timer } from '../shared/timer-at-hand.ts'

type Shop = Pick<Workshop, 'timers' | 'stateOf' | 'writer' | 'takesTimers'>

export class TimerDesk {
  readonly #shop: Shop

  constructor(shop: Shop) {
    this.#shop = shop
  }

  /** Says as the timer at hand which one is due first. */
  show(nowMs: number): void {
    const { timers, stateOf } = this.#shop
    const timer = timers.takeDue(nowMs, Number.POSITIVE_INFINITY)
    if (timer !== undefined) stateOf(timer.partition).rollback()
  }

  /** Sets a timer, or takes it out. */
  change({ partition, key, timeMs }: Timer, isSet: boolean, nowMs: number): void {
    const { timers, stateOf, writer, takesTimers } = this.#shop
    if (isSet && !takesTimers) return
    let state: KeyedState | undefined
    try {
      state = stateOf(partition)
      if (isSet) timers.set(state, key, timeMs, nowMs)
      else state.timers.delete(key, timeMs)
      state.commit()
      writer.swept()
    } catch {
      state?.rollback()
    }
  }
}
