/**
 * Swaps: brings new versions into running instances.
 *
 *     preparing → on trial → gone, it is the version at work
 *         └──────────┴────→ failed, until another version is wanted
 *
 *   SW1. The version of the newest assignment is prepared; one of an earlier assignment is given up.
 *   SW2. An instance has one swap at a time: the next begins when the one before was given up or has taken over.
 *   SW3. A version that exceeded a time limit while its process had no CPU has not failed, whether it was rehearsing, taking over
 *        or on trial: it is made again, a few times (RE3 of runner/failures/reactions.ts says the same of a record).
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import { type Clock, sleep } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { InstanceReport, SwapReport } from '../../infra/control/messages/heartbeat.ts'
import type { Worker } from '../instance/worker.ts'
import { isStarved, type SingleIsolate, starvedAttemptsMax } from '../isolate/index.ts'
import { rehearse } from './rehearsal.ts'
import type { Verdict } from './trial.ts'

/** How long to wait for a batch to rehearse on. */
const sampleMs = 100
/** How often to check whether state has room for the version's format. */
const crowdedLookMs = 50

export interface SwapsOptions {
  readonly clock: Clock
  /** Makes an initialised isolate of another version, beside the worker's. */
  readonly make: (fn: FunctionAssignment, worker: Worker) => Promise<SingleIsolate>
  /** Called when there is something new to report. */
  readonly onChange: () => void
  readonly log: (fn: FunctionAssignment, id: string, level: 'info' | 'warn', message: string) => void
}

interface Swap {
  readonly version: number
  state: SwapReport['state'] | 'done'
  reason?: string
  isWanted: boolean
  /** How often it was made again (SW3). */
  remade: number
}

export class Swaps {
  readonly #options: SwapsOptions
  readonly #swaps = new Map<string, Swap>()
  /** By instance: the swap under way, the length of the last pause, and the last passed trial. */
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #pausesMs = new Map<string, number>()
  readonly #tried = new Map<string, Exclude<InstanceReport['tried'], undefined>>()

  constructor(options: SwapsOptions) {
    this.#options = options
  }

  /** Sets the version that the instance should have. */
  want(id: string, worker: Worker, fn: FunctionAssignment): void {
    const swap = this.#swaps.get(id)
    if (swap?.version === fn.version) return
    if (swap !== undefined) {
      swap.isWanted = false
      this.#swaps.delete(id)
    }
    if (!this.#underWay.has(id) && worker.running.assignment.version === fn.version) return
    const wanted: Swap = { version: fn.version, state: 'preparing', isWanted: true, remade: 0 }
    this.#swaps.set(id, wanted)
    this.#begin(id, worker, fn, wanted)
  }

  /** Ends the swap of an instance that has ended. */
  forget(id: string): void {
    const swap = this.#swaps.get(id)
    if (swap !== undefined) swap.isWanted = false
    this.#swaps.delete(id)
    this.#pausesMs.delete(id)
    this.#tried.delete(id)
  }

  report(id: string, worker: Worker): Pick<InstanceReport, 'swap' | 'swapPauseMs' | 'tried'> {
    const swap = this.#swaps.get(id)
    const swapPauseMs = this.#pausesMs.get(id)
    const tried = this.#tried.get(id)
    const done = { ...(swapPauseMs !== undefined && { swapPauseMs }), ...(tried && { tried }) }
    if (swap === undefined || swap.state === 'done') return done
    const { version, state, reason } = swap
    const records = state === 'onTrial' ? worker.succession.triedSoFar : undefined
    const more = { ...(reason !== undefined && { reason }), ...(records !== undefined && { records }) }
    return { ...done, swap: { version, state, ...more } }
  }

  /** After the swap under way (SW2). */
  #begin(id: string, worker: Worker, fn: FunctionAssignment, swap: Swap): void {
    const before = this.#underWay.get(id) ?? Promise.resolve()
    const underWay = before
      .then(() => this.#swap(id, worker, fn, swap))
      .finally(() => {
        if (this.#underWay.get(id) === underWay) this.#underWay.delete(id)
        this.#options.onChange()
      })
    this.#underWay.set(id, underWay)
  }

  async #swap(id: string, worker: Worker, fn: FunctionAssignment, swap: Swap): Promise<void> {
    if (!swap.isWanted) return
    if (worker.running.assignment.version === fn.version) return this.#done(id, swap)
    const { log } = this.#options
    let isolate: SingleIsolate | undefined
    try {
      await this.#roomForFormat(id, worker, fn, swap)
      if (!swap.isWanted) return
      isolate = await this.#prepare(worker, fn)
      if (!swap.isWanted) return isolate.kill()
      const onVerdict = (verdict: Verdict): void => this.#judged(id, worker, fn, swap, verdict)
      const pauseMs = await worker.succession.swap({ isolate, assignment: fn }, fn.trial, onVerdict)
      this.#pausesMs.set(id, pauseMs)
      if (fn.trial === undefined) this.#done(id, swap)
      else if (swap.state === 'preparing') swap.state = 'onTrial'
      log(
        fn,
        id,
        'info',
        `version ${fn.version} has taken over; nothing was processed for ${pauseMs.toFixed(1)} ms`,
      )
    } catch (error) {
      isolate?.kill()
      this.#failed(id, worker, fn, swap, error as Error)
    }
  }

  /** Waits until state has room for a version's new format; state in earlier formats is migrated meanwhile. */
  async #roomForFormat(id: string, worker: Worker, fn: FunctionAssignment, swap: Swap): Promise<void> {
    const { clock, log } = this.#options
    const begins = (fn.format?.own ?? 1) > (worker.running.assignment.format?.own ?? 1)
    for (let isTold = false; begins && swap.isWanted; isTold = true) {
      const { crowded } = worker.running.isolate.stats()
      if (crowded === 0) return
      if (!isTold)
        log(
          fn,
          id,
          'info',
          `version ${fn.version} waits until ${crowded} partitions have room for its format of state`,
        )
      await sleep(clock, crowdedLookMs)
    }
  }

  async #prepare(worker: Worker, fn: FunctionAssignment): Promise<SingleIsolate> {
    const { make, clock } = this.#options
    const isolate = await make(fn, worker)
    try {
      const sample = await worker.sampler.next(sampleMs)
      if (sample !== undefined) await rehearse(isolate, sample, clock.nowMs())
      await isolate.expect(worker.running.isolate.holder)
      return isolate
    } catch (error) {
      isolate.kill()
      throw error
    }
  }

  #judged(
    id: string,
    worker: Worker,
    fn: FunctionAssignment,
    swap: Swap,
    { failure, errors, records }: Verdict,
  ): void {
    if (failure === undefined) {
      this.#tried.set(id, { version: fn.version, records })
      this.#done(id, swap)
    } else {
      const many = `of its first ${records + errors} records it failed ${errors}: ${failure.message}`
      this.#failed(id, worker, fn, swap, failure, errors === 0 ? failure.message : many)
    }
    this.#options.onChange()
  }

  #done(id: string, swap: Swap): void {
    swap.state = 'done'
    if (this.#swaps.get(id) === swap) this.#swaps.delete(id)
  }

  #failed(
    id: string,
    worker: Worker,
    fn: FunctionAssignment,
    swap: Swap,
    why: Error,
    reason = why.message,
  ): void {
    const { log } = this.#options
    if (swap.isWanted && isStarved(why) && swap.remade < starvedAttemptsMax) {
      swap.remade += 1
      swap.state = 'preparing'
      log(fn, id, 'warn', `version ${fn.version} is made again: ${why.message}`)
      return this.#begin(id, worker, fn, swap) // SW3
    }
    const how = swap.state === 'onTrial' ? 'is taken back' : 'has not taken over'
    swap.state = 'failed'
    swap.reason = reason
    const text = `version ${fn.version} ${how}, the one before goes on: ${reason}`
    if (swap.isWanted) log(fn, id, 'warn', text)
  }
}
