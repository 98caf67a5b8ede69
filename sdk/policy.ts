/**
 * Policy: a reaction to failure with all that it leaves unsaid.
 * @module
 */
import type { ErrorPolicy } from './function.ts'

export interface FailurePolicy {
  /** How often a record is tried again. */
  readonly retries: number
  /** When the attempts are used up. */
  readonly last: 'fail' | 'skip' | 'deadLetter'
}

export function policyOf(policy: ErrorPolicy): FailurePolicy {
  if (typeof policy === 'string') return { retries: 0, last: policy }
  return { retries: policy.retry, last: policy.then }
}
