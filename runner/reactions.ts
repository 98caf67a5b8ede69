/**
 * Reactions: what becomes of records that a callback threw at, or that ended their isolate, by the policy of the version at
 * work; and the last error, for whoever asks.
 * @module
 */
import { attemptsAt, type Consumer, rememberAttempts, type TakenFrame } from '../infra/bus/index.ts'
import type { ErrorReport, FunctionAssignment } from '../infra/control/messages.ts'
import { policyOf } from '../sdk/policy.ts'
import type { Acknowledger } from './acknowledger.ts'
import { type Ending, endingOf, reasonOf } from './ending.ts'
import { errorOf, type Failed, lettersOf, locate } from './failed.ts'
import type { BatchResult } from './isolate/index.ts'
import type { WorkerOptions } from './worker-options.ts'

export interface ReactionsOptions extends Pick<WorkerOptions, 'clock' | 'letters' | 'onFailure'> {
  readonly instance: string
  readonly consumer: Consumer
  readonly acknowledger: Acknowledger
  readonly stopping: AbortSignal
  /** Of the version at work. */
  readonly assignment: () => FunctionAssignment
}

export class Reactions {
  readonly #options: ReactionsOptions
  /** Callbacks that threw, and records that ended their isolate. */
  errors = 0
  /** Reads the last error when a heartbeat asks for it. */
  lastFailure: (() => ErrorReport) | undefined

  constructor(options: ReactionsOptions) {
    this.#options = options
  }

  /** What a batch has thrown. Before the frames' memory is used again. */
  take(failures: readonly Failed[]): void {
    for (const failed of failures) this.#react(failed)
    this.#post(failures)
  }

  /**
   * The record that ended its isolate is left to the next owner, who will know of this attempt, or given up as the policy
   * says: it must not end each next owner. Nobody else is touched by it.
   */
  settleBroken(batch: readonly TakenFrame[], { fatal, recordAtHand, failures }: BatchResult): Ending {
    const ending = endingOf(reasonOf(fatal!.code), fatal!.message)
    if (recordAtHand !== true || failures.some((failure) => failure.action === 'fail')) return ending
    const open = batch.find((frame) => frame.skip + frame.finished < frame.header.count)
    if (open === undefined) return ending
    if (this.#options.stopping.aborted) {
      this.#drop(open, 'failed')
      return ending
    }
    const { assignment, clock, consumer, instance, onFailure } = this.#options
    const attempts = attemptsAt(open) + 1
    const { retries, last: reaction } = policyOf(assignment().manifest.onError)
    const again = attempts <= retries
    const { code, message } = fatal!
    const error = { name: code, message, stack: '', timeMs: clock.nowMs() }
    const failure = { index: 0, action: reaction, attempts, told: true, error }
    const failed = locate([open], [failure])
    this.errors += 1
    this.lastFailure = () => errorOf(failed[0]!)
    onFailure(instance, again ? 'to be tried again' : reaction, this.lastFailure)
    if (again) rememberAttempts(open, attempts)
    else if (reaction === 'deadLetter') {
      consumer.done(open, 1)
      this.#post(failed)
    } else this.#drop(open, reaction === 'skip' ? 'skipped' : 'failed')
    return again || reaction !== 'fail' ? endingOf('recordBroke', fatal!.message) : ending
  }

  #react(failed: Failed): void {
    const { onFailure, instance, consumer } = this.#options
    const { failure, frame } = failed
    this.errors += 1
    let error: ErrorReport | undefined
    const report = (): ErrorReport => (error ??= errorOf(failed))
    if (failure.told) this.lastFailure = report
    onFailure(instance, failure.action, failure.told ? report : undefined)
    if (frame === undefined) return
    if (failure.action === 'fail')
      this.#drop(frame, 'failed') // it is gone with its instance: at most once
    else if (failure.action === 'skip') consumer.drop(frame, 'skipped')
  }

  #post(failures: readonly Failed[]): void {
    const { frames, letters } = lettersOf(failures)
    if (letters.length === 0) return
    const { assignment, acknowledger, letters: box } = this.#options
    const { function: name, version } = assignment()
    acknowledger.await({ frames, answers: box.post({ function: name, version, letters }) })
  }

  /** Counts the next record of a frame as done, but dropped. */
  #drop(frame: TakenFrame, reason: string): void {
    const { consumer } = this.#options
    consumer.done(frame, 1)
    consumer.drop(frame, reason)
  }
}
