/**
 * Reactions: applies the function's policy to records whose callbacks failed.
 *
 *   RE1. Each is counted once under its reason, and reported within the bounds of the log.
 *   RE2. A record that ended its isolate is left to the next owner, which learns of this attempt, or given up, so that it does
 *        not end every owner. Other records are not affected.
 *        (Timers: timer-reactions.ts.)
 *   RE3. A record that exceeded its time limit while its process had no CPU is retried before the policy is asked, since the
 *        machine was slow.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { attemptsAt, type Consumer, rememberAttempts, type TakenFrame } from '../../infra/bus/index.ts'
import type { ErrorReport, InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import { type FailurePolicy, policyOf } from '../../sdk/manifest/policy.ts'
import type { Acknowledger } from '../instance/acknowledger.ts'
import type { WorkerOptions } from '../instance/worker-options.ts'
import { type BatchResult, isStarved } from '../isolate/index.ts'
import { type Ending, endingOf, reasonOf } from '../process/ending.ts'
import { failedOf, type SetAside } from './aside.ts'
import { brokenBy, chancesOf } from './broken.ts'
import { type Failed, lettersOf, locate, tellerOf } from './failed.ts'
import { type Whose, whoseOf } from './failure-log.ts'
import { TimerReactions, type TimerReactionsOptions } from './timer-reactions.ts'

export interface ReactionsOptions
  extends Pick<WorkerOptions, 'letters' | 'onFailure'>,
    Omit<TimerReactionsOptions, 'letters' | 'acknowledger' | 'onGiven'> {
  readonly consumer: Consumer
  readonly acknowledger: Acknowledger
  readonly aside: SetAside
}

export class Reactions {
  readonly #options: ReactionsOptions
  /** Callbacks that finally failed. */
  errors = 0
  readonly timers: TimerReactions
  /** Reads the last error when a heartbeat asks for it. */
  lastFailure: (() => ErrorReport) | undefined

  constructor(options: ReactionsOptions) {
    this.#options = options
    this.timers = new TimerReactions({
      ...options,
      onGiven: (action, error) => {
        this.errors += 1
        this.lastFailure = error
        options.onFailure(this.#whose, action, error)
      },
    })
  }

  report(): Pick<InstanceReport, 'errors' | 'timersDropped' | 'lastError'> {
    const { errors, lastFailure, timers } = this
    return { errors, timersDropped: timers.dropped, ...(lastFailure && { lastError: lastFailure() }) }
  }

  /** Failures are those of the version that works now: it changes only between two batches. */
  get #whose(): Whose {
    const { assignment, instance } = this.#options
    return whoseOf(assignment(), instance.id)
  }

  get #policy(): FailurePolicy {
    return policyOf(this.#options.assignment().manifest.onError)
  }

  /** Takes the failures of a batch whose records are counted as done, before the frames' memory is reused. */
  take(failures: readonly Failed[]): void {
    for (const failed of failures) this.#react(failed, false)
    this.#post(failures)
  }

  /** Applies the policy finally to everything set aside, without another attempt. */
  giveUpAside(): void {
    const { aside, clock } = this.#options
    const given = aside.giveUp(clock.monotonicMs())
    const failures = given.map((held) => failedOf(held, this.#policy.last, clock.nowMs()))
    for (const failed of failures) this.#react(failed, true)
    this.#post(failures)
  }

  /** Handles an isolate that was ended. @returns Why the worker ends. */
  settleBroken(
    batch: readonly TakenFrame[],
    { fatal, recordAtHand, timerAtHand, failures }: BatchResult,
  ): Ending {
    const ending = endingOf(reasonOf(fatal!.code), fatal!.message)
    if (failures.some((failure) => failure.action === 'fail')) return ending
    if (timerAtHand !== undefined) return this.timers.settle(timerAtHand, fatal!, ending)
    if (recordAtHand !== true) return ending
    const open = batch.find((frame) => frame.skip + frame.finished < frame.header.count)
    if (open === undefined) return ending
    if (this.#options.stopping.aborted) {
      this.#drop(open, 'failed')
      return ending
    }
    const { acknowledger, aside, clock, onFailure } = this.#options
    const { last } = this.#policy
    const isAside = aside.has(open)
    const attempts = (isAside ? aside.attemptsOf(open) : attemptsAt(open)) + 1
    const chances = chancesOf(this.#policy, isStarved(fatal!))
    const again = attempts <= chances && !isAside // its channel has passed it: nobody could retry it
    const error = brokenBy(fatal!, clock.nowMs())
    const failed = locate([open], [{ index: 0, action: last, attempts, told: true, error }])
    this.errors += 1
    this.lastFailure = tellerOf(failed[0]!)
    onFailure(this.#whose, again ? 'to be tried again' : last, this.lastFailure)
    if (again) rememberAttempts(open, attempts)
    else if (last === 'deadLetter') {
      this.#done(open)
      acknowledger.announce() // nothing announced it yet (A2 of acknowledger.ts)
      this.#post(failed)
    } else this.#drop(open, last === 'skip' ? 'skipped' : 'failed')
    return again || last !== 'fail' ? endingOf('recordBroke', fatal!.message) : ending
  }

  /** @param isDone Whether its record already counts as done, although it finally failed. */
  #react(failed: Failed, isDone: boolean): void {
    const { failure, frame } = failed
    const { consumer, onFailure } = this.#options
    if (failure.action === 'behind') return
    // The log's second is not the isolate's: without this the log could spend its lines on errors without a stack.
    const told = failure.told && failure.stackless !== true ? tellerOf(failed) : undefined
    if (failure.action === 'setAside') return onFailure(this.#whose, 'to be tried again', told)
    this.errors += 1
    if (told !== undefined) this.lastFailure = told
    onFailure(this.#whose, failure.action, told)
    if (frame === undefined) return this.timers.drop(failure)
    if (failure.action === 'fail') {
      if (!isDone && failure.isDone !== true) this.#done(frame)
      consumer.drop(frame, 'failed') // it is lost with its instance: at most once
    } else if (failure.action === 'skip') consumer.drop(frame, 'skipped')
  }

  #post(failures: readonly Failed[]): void {
    const letters = lettersOf(failures)
    if (letters.length === 0) return
    const { assignment, acknowledger, letters: box } = this.#options
    const { function: name, version } = assignment()
    const answers = box.post({ function: name, version, letters })
    acknowledger.await({ frames: letters.map(({ frame }) => frame), answers })
  }

  /** Counts the next record of a frame as done, but dropped. */
  #drop(frame: TakenFrame, reason: string): void {
    this.#done(frame)
    this.#options.consumer.drop(frame, reason)
  }

  #done(frame: TakenFrame): void {
    const { aside, consumer, clock } = this.#options
    if (aside.has(frame)) aside.settle(frame, clock.monotonicMs())
    else consumer.done(frame, 1)
  }
}
