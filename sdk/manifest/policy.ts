/**
 * Policy: a reaction to failure with all that it leaves unsaid.
 * @module
 */
import type { ErrorPolicy } from '../function.ts'

export interface FailurePolicy {
  /** How often a record is tried again. */
  readonly retries: number
  /** When the attempts are used up. */
  readonly last: 'fail' | 'skip' | 'deadLetter'
  /** Before the second attempt; it doubles with each, up to `waitMaxMs`. 0: at once. */
  readonly waitMs: number
  readonly waitMaxMs: number
  /** Later records of the key wait behind the one that is tried again. */
  readonly keepsOrder: boolean
}

export const retryWaitMs = 100
export const retryWaitMaxMs = 10_000

export function policyOf(policy: ErrorPolicy): FailurePolicy {
  if (typeof policy === 'string')
    return { retries: 0, last: policy, waitMs: 0, waitMaxMs: 0, keepsOrder: false }
  const { retry, then: last, waitMs = retryWaitMs, waitMaxMs = retryWaitMaxMs, keepOrder = false } = policy
  return { retries: retry, last, waitMs, waitMaxMs, keepsOrder: keepOrder && waitMs > 0 }
}

/** How long a record waits that was tried so often. */
export function waitAfter(attempts: number, { waitMs, waitMaxMs }: FailurePolicy): number {
  return Math.min(waitMs * 2 ** Math.max(0, attempts - 1), waitMaxMs)
}
