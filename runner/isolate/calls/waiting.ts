/**
 * Waiting: waits for the next setTimeout of a pending callback, within the callback's time limit.
 * @module
 */
import type { Clock } from '../../../infra/clock.ts'
import type { Guest } from '../guest/guest.ts'
import type { Regions } from '../memory/regions.ts'

export interface WaitingOptions {
  readonly clock: Clock
  readonly regions: Regions
  readonly guest: Guest
  /** The time limit of one callback. */
  readonly asyncMs: number
  /** Makes the error if waiting is pointless, or the time is up. */
  readonly late: (why: string) => Error
}

export class Waiting {
  readonly #options: WaitingOptions
  /** The pending callback that is waited for, and since when. */
  #pendings = 0
  #sinceMs = 0

  constructor(options: WaitingOptions) {
    this.#options = options
  }

  /** @throws What `late` made, or why the isolate has ended meanwhile. */
  async untilWake(endMs: number): Promise<void> {
    const { clock, regions, guest, asyncMs, late } = this.#options
    const leftMs = Math.min(this.#since() + asyncMs, endMs) - clock.monotonicMs()
    const wakeMs = regions.nextWakeMs
    if (wakeMs === undefined) throw late('it awaits what nothing will settle')
    const delayMs = wakeMs - clock.nowMs()
    await guest.sleep(Math.max(0, Math.min(delayMs, leftMs)))
    if (delayMs > leftMs) throw late(`its promise has not settled in ${asyncMs} ms`)
  }

  /** When the pending callback was first seen. */
  #since(): number {
    const { regions, clock } = this.#options
    if (this.#pendings !== regions.pendings) {
      this.#pendings = regions.pendings
      this.#sinceMs = clock.monotonicMs()
    }
    return this.#sinceMs
  }
}
