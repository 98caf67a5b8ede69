/**
 * Trial: the first records of a version that has taken over, while the previous one stands by.
 *
 * If the new version throws at a record, this has no effect, and the old version processes the record. If the old one
 * throws as well, the record is at fault, and the policy decides. Otherwise it counts against the new version, and
 * beyond the threshold the old one returns.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { BatchResult } from '../isolate/index.ts'
import type { Running } from './change-over.ts'

export interface TrialRules {
  /** Records after which it has passed. */
  readonly records: number
  /** How many errors it may have. */
  readonly errors: number
  /** Time after which it has passed, however few records came. */
  readonly ms: number
}

/** The result: `failure` says why the old version is back. */
export interface Verdict {
  readonly failure?: Error
  readonly records: number
  readonly errors: number
}

export class Trial {
  /** The isolate to put back if it fails. */
  readonly before: Running
  readonly #rules: TrialRules
  readonly #onVerdict: (verdict: Verdict) => void
  readonly #cancel: () => void
  #timeIsUp = false
  #records = 0
  #errors = 0

  constructor(
    before: Running,
    rules: TrialRules,
    { clock, onTime, onVerdict }: { clock: Clock; onTime: () => void; onVerdict: (verdict: Verdict) => void },
  ) {
    this.before = before
    this.#rules = rules
    this.#onVerdict = onVerdict
    this.#cancel = clock.after(rules.ms, () => {
      this.#timeIsUp = true
      onTime()
    })
  }

  get isOver(): boolean {
    return this.#timeIsUp || this.#records >= this.#rules.records
  }

  get records(): number {
    return this.#records
  }

  /** Counts processed records. */
  count({ records, timersFired }: BatchResult): void {
    this.#records += records + timersFired
  }

  /** Counts an error that the old version did not have. @returns Whether there are too many. */
  blame(): boolean {
    this.#errors += 1
    return this.#errors > this.#rules.errors
  }

  /** Ends the trial without a result. */
  cancel(): void {
    this.#cancel()
  }

  end(failure?: Error): void {
    this.#cancel()
    const counts = { records: this.#records, errors: this.#errors }
    this.#onVerdict(failure === undefined ? counts : { failure, ...counts })
  }
}
