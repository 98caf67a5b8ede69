/**
 * TimerCalls: handles single timers between two batches, when one of them may have ended an earlier owner.
 *
 *   TC1. Only `run` calls the function, and then for one timer: the one that `next` returns.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { Timer } from '../../../sdk/runtime/index.ts'
import type { Entry } from '../guest/guest.ts'
import type { Regions } from '../memory/regions.ts'
import type { BatchResult } from '../types.ts'

/** How often to hand in more memory for one timer. */
const roomTries = 8

export interface TimerCallsOptions {
  readonly regions: Regions
  /** Makes a call into the runtime that runs none of the author's code. */
  readonly order: (entry: Entry, args: readonly unknown[]) => Promise<BatchResult>
  /** Hands in the memory that the last call needed. */
  readonly provide: () => Promise<void> | undefined
  readonly run: (nowMs: number) => Promise<BatchResult>
}

export class TimerCalls {
  readonly #options: TimerCallsOptions

  constructor(options: TimerCallsOptions) {
    this.#options = options
  }

  /** The first timer due at that time; undefined: none is due. */
  async next(nowMs: number): Promise<Timer | undefined> {
    await this.#order('showTimer', [nowMs])
    return this.#options.regions.timerAtHand.read()
  }

  /** Runs that timer, and no other. */
  run(nowMs: number): Promise<BatchResult> {
    return this.#options.run(nowMs)
  }

  /** Removes a timer, if it is set. */
  async drop(timer: Timer, nowMs: number): Promise<void> {
    await this.#change(timer, false, nowMs)
  }

  /** @returns Whether it is set: false if the state is full. */
  async set(timer: Timer, nowMs: number): Promise<boolean> {
    const { regions, provide } = this.#options
    for (let tries = 0; tries < roomTries; tries++) {
      if (await this.#change(timer, true, nowMs)) return true
      if (regions.wanted === undefined) return false
      await provide()
    }
    return false
  }

  /** @returns Whether there was room for it. */
  async #change({ partition, key, timeMs }: Timer, isSet: boolean, nowMs: number): Promise<boolean> {
    const { regions } = this.#options
    await this.#order('changeTimer', [partition, key, timeMs, isSet, nowMs])
    const isDone = regions.published > 0
    regions.clear()
    return isDone
  }

  /** @throws {CodedError} Why the isolate has ended. */
  async #order(entry: Entry, args: readonly unknown[]): Promise<void> {
    const { fatal } = await this.#options.order(entry, args)
    if (fatal !== undefined) throw fatal
  }
}
