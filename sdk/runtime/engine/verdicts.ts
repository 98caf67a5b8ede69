/**
 * Verdicts: what happens after a callback has returned or thrown.
 *
 *   VD1. A callback that threw leaves no output, state or timer; then the policy decides (I3).
 *   VD2. A callback that met a lack of memory for state counts as not called, whatever it did about the error.
 *   VD3. On trial, a callback that fails for good ends the batch without an effect: another isolate calls it.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { Scope } from '../callback/scope.ts'
import type { OutcomeWriter } from '../outcome/outcome-writer.ts'
import { reportOf, type Thrown } from '../outcome/report.ts'
import type { ReportBudget } from '../outcome/report-budget.ts'
import type { ControlWords } from '../shared/control-words.ts'
import { control, entryKind, type Reaction, verdict, verdictOf } from '../shared/layout.ts'
import type { Timer } from '../shared/timer-at-hand.ts'
import type { EngineOptions } from './engine-options.ts'
import type { Intake } from './intake.ts'

export type VerdictsOptions = Pick<
  EngineOptions,
  'writer' | 'controlWords' | 'reports' | 'onThrown' | 'onTrial'
>

export class Verdicts {
  /** A callback has failed for good since `begin`: no other one is called. */
  failed = false
  readonly #intake: Intake
  readonly #writer: OutcomeWriter
  readonly #controlWords: ControlWords
  readonly #reports: ReportBudget | undefined
  readonly #onThrown: ((thrown: unknown) => void) | undefined
  #onTrial: boolean
  /** The error of the attempt before, if it is reported. */
  #failure: Thrown | undefined

  constructor({ writer, controlWords, reports, onThrown, onTrial = false }: VerdictsOptions, intake: Intake) {
    this.#intake = intake
    this.#writer = writer
    this.#controlWords = controlWords
    this.#reports = reports
    this.#onThrown = onThrown
    this.#onTrial = onTrial
  }

  /** Called before a batch, `init` or `destroy`. */
  begin(nowMs: number): void {
    this.#reports?.renew(nowMs)
    this.failed = false
  }

  /** Ends the trial: from now on the policy applies to callbacks that fail for good. */
  endTrial(): void {
    this.#onTrial = false
  }

  /** The callback succeeded. */
  done(scope: Scope): void {
    if (this.#controlWords.word(control.wantedPartition) !== 0) return this.#putOff(scope)
    scope.commit()
    if (this.#intake.attempt > 1) this.#report(scope, 'retried', this.#failure)
    this.#writer.done(kindOf(scope), verdict.processed)
  }

  /** The callback threw: undoes what it did (VD1). @returns Whether to call it again. */
  again(scope: Scope, thrown: unknown): boolean {
    if (this.#controlWords.word(control.wantedPartition) !== 0) {
      this.#putOff(scope)
      return false
    }
    scope.rollback()
    this.#writer.rollback()
    this.#onThrown?.(thrown)
    const told = this.#reports?.spend() ?? true
    const { aside, attempt, cursor } = this.#intake
    const { retries, last } = aside.policy
    const isRecord = scope.timer === undefined
    if (isRecord && !this.#onTrial && aside.takes(attempt)) {
      aside.hold(cursor)
      this.#giveAway(scope, 'setAside', thrown, told)
      return false
    }
    if (attempt <= retries && !(isRecord && aside.isLast)) {
      scope.retake()
      this.#intake.attempt++
      this.#writer.retries++
      this.#failure = told ? reportOf(thrown, this.#reports?.hasStacks) : undefined
      return true
    }
    if (this.#onTrial) {
      this.#giveUp(kindOf(scope), thrown, scope.timer) // VD3: a timer too is as it was
      this.#intake.attempt = 1
      return false
    }
    scope.retake()
    scope.commit() // the timer is removed all the same
    if (last === 'fail') this.#giveUp(kindOf(scope), thrown, scope.timer)
    else this.#giveAway(scope, last, thrown, told)
    return false
  }

  /** `init` or `destroy` threw. */
  lifecycleFailed(thrown: unknown): void {
    this.#onThrown?.(thrown)
    this.#giveUp(0, thrown, undefined)
  }

  /** Memory for its state was lacking, and will come: undoes everything, and the batch ends before it (VD2). */
  #putOff(scope: Scope): void {
    scope.rollback()
    this.#writer.rollback()
    this.#intake.attempt = 1
    this.#writer.retries = 0
    this.#failure = undefined
    this.#controlWords.setWord(control.yield, 1)
  }

  #giveAway(scope: Scope, reaction: keyof typeof verdictOf, thrown: unknown, told: boolean): void {
    this.#report(
      scope,
      reaction,
      told || reaction === 'deadLetter' ? reportOf(thrown, this.#reports?.hasStacks) : undefined,
    )
    this.#writer.done(kindOf(scope), verdictOf[reaction])
  }

  /** No more callbacks: the host ends this instance. */
  #giveUp(kind: number, thrown: unknown, timer: Timer | undefined): void {
    this.failed = true
    this.#writer.report(kind, 'fail', this.#intake.attempt, reportOf(thrown), timer)
    this.#writer.publish()
  }

  /** @param told Undefined: the error is only counted. */
  #report(scope: Scope, reaction: Reaction, told: Thrown | undefined): void {
    if (told !== undefined)
      this.#writer.report(kindOf(scope), reaction, this.#intake.attempt, told, scope.timer)
    this.#intake.attempt = 1
    this.#failure = undefined
  }
}

function kindOf({ timer }: Scope): number {
  return timer === undefined ? entryKind.record : entryKind.timer
}
