/**
 * Trial: the first records of a version that has taken over, while the one before stands by.
 *
 * What it throws at has had no effect and is the old one's to process. Where that one throws as well, it is the record's
 * fault, and the policy's matter; else it counts against the new one, and beyond the threshold the old one is back.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { BatchResult } from '../isolate/index.ts'
import type { Running } from './change-over.ts'

export interface TrialRules {
  /** Records after which it has passed. */
  readonly records: number
  /** How many of them it may throw at. */
  readonly errors: number
  /** Time after which it has passed, however few came. */
  readonly ms: number
}

/** How it ended: `failure` says why the version before is back. */
export interface Verdict {
  readonly failure?: string
  readonly records: number
  readonly errors: number
}

export class Trial {
  /** What is put back if it fails. */
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

  /** Records that went through. */
  count({ records, timersFired }: BatchResult): void {
    this.#records += records + timersFired
  }

  /** It threw where the one before did not. @returns Whether that is too often. */
  blame(): boolean {
    this.#errors += 1
    return this.#errors > this.#rules.errors
  }

  /** Nobody asks how it went any more. */
  cancel(): void {
    this.#cancel()
  }

  end(failure?: string): void {
    this.#cancel()
    const counts = { records: this.#records, errors: this.#errors }
    this.#onVerdict(failure === undefined ? counts : { failure, ...counts })
  }
}
