/**
 * TimerReactions: applies the function's policy to timers whose callbacks failed.
 *
 * A timer that threw was taken out of the state by the engine. One that ended its isolate is still set: the next owner
 * learns of the attempt, and retries it or takes it out (timers-apart.ts).
 *   TR1. Each is counted once under its reason.
 *   TR2. A timer with a dead letter leaves the stored state only when the letter is safe: a checkpoint waits for the letters
 *        posted before it, and a timer that has ended an owner is taken out after its letter.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { unlessAborted } from '../../infra/bus/index.ts'
import type { TriedTimer } from '../../infra/checkpoints/index.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { ErrorReport } from '../../infra/control/messages/heartbeat.ts'
import { policyOf } from '../../sdk/manifest/policy.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import type { TriedTimers } from '../checkpoint/tried-timers.ts'
import type { Acknowledger } from '../instance/acknowledger.ts'
import type { WorkerOptions } from '../instance/worker-options.ts'
import { isStarved, type RecordFailure, timerWords } from '../isolate/index.ts'
import { type Ending, endingOf } from '../process/ending.ts'
import { brokenBy, chancesOf, type Fatal } from './broken.ts'
import { letterOfTimer, shown } from './failed.ts'
import type { LetterBox } from './letter-box.ts'

export interface TimerReactionsOptions extends Pick<WorkerOptions, 'clock'> {
  readonly instance: Pick<InstanceAssignment, 'id' | 'index'>
  readonly stopping: AbortSignal
  /** Absent: timers end with their state. */
  readonly tried: TriedTimers | undefined
  /** The live version. */
  readonly assignment: () => FunctionAssignment
  readonly letters: Pick<LetterBox, 'post' | 'flush'>
  readonly acknowledger: Pick<Acknowledger, 'await'>
  /** Called when a timer has ended its isolate, or its process. */
  readonly onGiven: (action: string, error: () => ErrorReport) => void
}

export class TimerReactions {
  readonly #options: TimerReactionsOptions
  /** Timers given up, by reason. */
  readonly dropped: Record<string, number> = {}

  constructor(options: TimerReactionsOptions) {
    this.#options = options
  }

  get #policy() {
    return policyOf(this.#options.assignment().manifest.onError)
  }

  /** Handles an isolate that was ended in a timer. @param ending Why the worker ends, if nobody is at fault. */
  settle(timer: Timer, fatal: Fatal, ending: Ending): Ending {
    const { tried, clock, assignment, stopping } = this.#options
    if (tried === undefined || stopping.aborted) return ending
    const { version } = assignment()
    const known = tried.of(timer)
    const attempts = known?.version === version ? known.attempts : 1
    const error = brokenBy(fatal, clock.nowMs())
    tried.set(timer, { attempts, version, error, ...(isStarved(fatal) && { starved: true }) })
    const again = attempts <= chancesOf(this.#policy, isStarved(fatal))
    const { last } = this.#policy
    this.#tell(timer, error, again ? 'to be tried again' : last)
    return again || last !== 'fail' ? endingOf('recordBroke', fatal.message) : ending
  }

  /** Whether a timer that has ended an owner is retried; always by another version. */
  mayBeTried({ version, attempts, starved }: TriedTimer): boolean {
    return (
      version !== this.#options.assignment().version || attempts <= chancesOf(this.#policy, starved === true)
    )
  }

  /** Gives up a timer whose attempts are used up. @returns Whether it may be taken out of the state (TR2). */
  async giveUp(timer: Timer, { attempts, version, error: known }: TriedTimer): Promise<boolean> {
    const { clock, assignment, stopping } = this.#options
    const { last } = this.#policy
    const message = `Cannot go on with '${assignment().function}' v${version}: its process ended without a word in ${timerWords(timer)}`
    const error = known ?? { name: 'ERR_ISOLATE_LOST', message, stack: '', timeMs: clock.nowMs() }
    if (known === undefined) this.#tell(timer, error, last) // else its last owner did
    if (last !== 'deadLetter') return this.#count(last === 'skip' ? 'skipped' : 'failed')
    const stored = this.#post(timer, { error, attempts }, version).then(() => true)
    return (await unlessAborted(stored, stopping)) === true
  }

  /** Handles a timer that finally threw. */
  drop({ action, timer, error, attempts }: RecordFailure): void {
    if (action !== 'deadLetter' || timer === undefined) this.#count(action === 'fail' ? 'failed' : 'skipped')
    else void this.#post(timer, { error, attempts }, this.#options.assignment().version)
  }

  #tell(timer: Timer, error: ErrorReport, action: string): void {
    this.#options.onGiven(action, () => ({ ...error, timer: shown(timer) }))
  }

  #count(reason: string): true {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + 1
    return true
  }

  /** Resolves when it is known whether its letter was stored; perhaps never, if the runner ends. */
  async #post(
    timer: Timer,
    failed: Pick<RecordFailure, 'error' | 'attempts'>,
    version: number,
  ): Promise<void> {
    const { assignment, acknowledger, letters: box, instance } = this.#options
    const letters = [letterOfTimer(timer, failed, instance.index)]
    const answers = box.post({ function: assignment().function, version, letters })
    acknowledger.await({ frames: [], answers })
    box.flush()
    const [isStored] = await answers
    this.#count(isStored === true ? 'deadLettered' : 'deadLetterRefused')
  }
}
