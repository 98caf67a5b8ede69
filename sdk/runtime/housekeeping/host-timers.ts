/**
 * HostTimers: sets, deletes and finds single timers for the host, between two batches.
 *
 *   HT1. Afterwards all arenas are at rest. A change is committed by an entry of the outcome log, like everything
 *        that the runtime does by itself: if the log is empty, there was no room, or the function takes no timers.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { KeyedState } from '../arena/keyed-state.ts'
import type { CallbackServices } from '../callback/scope.ts'
import type { Timer } from '../shared/timer-at-hand.ts'

type Services = Pick<CallbackServices, 'timers' | 'stateOf' | 'writer' | 'takesTimers'>

export class HostTimers {
  readonly #services: Services

  constructor(services: Services) {
    this.#services = services
  }

  /** Writes which timer is due first as the current timer. */
  show(nowMs: number): void {
    const { timers, stateOf } = this.#services
    const timer = timers.takeDue(nowMs, Number.POSITIVE_INFINITY)
    if (timer !== undefined) stateOf(timer.partition).rollback()
  }

  /** Sets a timer, or deletes it. */
  change({ partition, key, timeMs }: Timer, isSet: boolean, nowMs: number): void {
    const { timers, stateOf, writer, takesTimers } = this.#services
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
