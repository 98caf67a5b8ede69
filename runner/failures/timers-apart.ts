/**
 * TimersApart: calls timers alone, if one of them has ended an owner, or may have.
 *
 *   TP1. The call of a timer that may end this process is stored before it is made, so the next owner knows of the attempt.
 *   TP2. A timer whose attempts are used up is taken out, and the state without it is stored, before anything else is called.
 *        Its dead letter is safe by then: it is stored twice if the process ends in between, never not at all.
 *   TP3. No other timer is called until it is stored that this one is over: else the wrong one would be blamed.
 *   TP4. A stop is no attempt: a timer that it kept from being called, or from finishing, stays as it was. It does not wait for
 *        the store.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { unlessAborted } from '../../infra/bus/index.ts'
import type { TriedTimer } from '../../infra/checkpoints/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { CodedError } from '../../sdk/errors.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import type { TriedTimers } from '../checkpoint/tried-timers.ts'
import { type BatchResult, type Isolate, type TimerCalls, timerWords } from '../isolate/index.ts'
import { type Ending, startFailure } from '../process/ending.ts'
import type { Reactions } from './reactions.ts'

const againMs = 500

export interface TimersApartOptions {
  readonly clock: Clock
  readonly reactions: Pick<Reactions, 'settleBroken' | 'timers'>
  readonly stopping: AbortSignal
  /** The working version. */
  readonly assignment: () => FunctionAssignment
  readonly isolate: () => Isolate
  /** Absent: timers end with their state. */
  readonly tried: TriedTimers | undefined
  /** Stores the state, between two batches. @returns Whether it was stored, or need not be. */
  readonly store: () => Promise<boolean>
  readonly publish: (result: BatchResult) => void
  readonly warn: (message: string) => void
}

export class TimersApart {
  readonly #options: TimersApartOptions

  constructor(options: TimersApartOptions) {
    this.#options = options
  }

  get isDue(): boolean {
    const { tried, clock } = this.#options
    return tried?.isDue(clock.nowMs()) === true
  }

  /** Calls all due timers one by one. @returns Why the instance cannot continue. */
  async run(): Promise<Ending | undefined> {
    const { tried, clock, isolate, stopping, reactions } = this.#options
    if (tried === undefined) return undefined
    const untilMs = clock.nowMs()
    const timers = await isolate().atTimers()
    while (!stopping.aborted) {
      const timer = await timers.next(untilMs)
      if (timer === undefined) {
        tried.clear(untilMs)
        return await this.#tell(tried)
      }
      const known = tried.of(timer)
      if (known !== undefined && !reactions.timers.mayBeTried(known)) {
        await this.#giveUp(timers, tried, timer, known)
        continue
      }
      const ending = await this.#try(timers, tried, timer, known, untilMs)
      if (ending !== undefined) return ending
    }
    return undefined
  }

  /** Sets timers again that were given up, and stores that; between two batches. @throws {Error} Naming those that could not be set. */
  async set(timers: readonly Timer[]): Promise<void> {
    const { isolate, clock, store } = this.#options
    const held = isolate().state.partitions()
    const calls = await isolate().atTimers()
    for (const timer of timers) {
      const attempted = `set ${timerWords(timer)} again`
      if (!held.includes(timer.partition))
        throw new Error(`cannot ${attempted}: it has no state of that partition`)
      if (await calls.set(timer, clock.nowMs())) continue
      throw new Error(
        `cannot ${attempted}: its state is full (limits.stateMib), or the version at work has no processTimer`,
      )
    }
    if (!(await store())) throw new Error('they are set, but their state could not be stored')
  }

  async #try(
    timers: TimerCalls,
    tried: TriedTimers,
    timer: Timer,
    known: TriedTimer | undefined,
    nowMs: number,
  ): Promise<Ending | undefined> {
    const { stopping, reactions } = this.#options
    if (known !== undefined || tried.suspects(timer)) {
      const { version } = this.#options.assignment()
      const before = known?.version === version ? known.attempts : 0
      tried.set(timer, { attempts: before + 1, version })
    }
    const ending = await this.#tell(tried) // TP1, TP3
    if (stopping.aborted) tried.set(timer, known) // TP4
    if (ending !== undefined || stopping.aborted) return ending
    const result = await this.#call(timers, nowMs)
    const isOver = result.fatal === undefined || result.failures.some(({ action }) => action === 'fail')
    if (isOver) tried.set(timer, undefined)
    else if (stopping.aborted) tried.set(timer, known) // TP4
    return result.fatal && reactions.settleBroken([], result)
  }

  /** Calls a timer, again if it lacked memory for its state, which is no attempt. */
  async #call(timers: TimerCalls, nowMs: number): Promise<BatchResult> {
    const { isolate, publish, stopping } = this.#options
    for (let running = timers.run(nowMs); ; ) {
      const result = await running
      publish(result)
      if (result.pending) running = isolate().resume()
      else if (result.fatal !== undefined || result.timersFired > 0 || stopping.aborted) return result
      else running = timers.run(nowMs)
    }
  }

  async #giveUp(timers: TimerCalls, tried: TriedTimers, timer: Timer, known: TriedTimer): Promise<void> {
    const { reactions, clock, store, stopping, warn } = this.#options
    const isSafe = await reactions.timers.giveUp(timer, known)
    if (!isSafe || stopping.aborted) return
    await timers.drop(timer, clock.nowMs())
    for (let isFirst = true; !(await store()); isFirst = false) {
      if (isFirst) warn('timers wait until the state is stored without one that was given up')
      await this.#pause()
      if (stopping.aborted) return // what is known stays, since the timer may still be set in the stored state
    }
    tried.set(timer, undefined)
  }

  /** Resolves when it is stored (TP3). @returns Why it never will be. */
  async #tell(tried: TriedTimers): Promise<Ending | undefined> {
    const { stopping, warn } = this.#options
    for (let isFirst = true; ; isFirst = false) {
      try {
        await unlessAborted(tried.tell(), stopping) // TP4
        return undefined
      } catch (error) {
        const { code, message } = error as Partial<CodedError> & Error
        if (code === 'ERR_CHECKPOINT_SUPERSEDED') return startFailure(error)
        if (isFirst) warn(`timers wait until the store knows which one is called: ${message}`)
      }
      await this.#pause()
      if (stopping.aborted) return undefined
    }
  }

  /** Waits before the store is asked again; a stop ends the wait. */
  async #pause(): Promise<void> {
    const { clock, stopping } = this.#options
    await unlessAborted(sleep(clock, againMs), stopping)
  }
}
