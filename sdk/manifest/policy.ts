/**
 * Policy: the reaction to a failed callback, with every default filled in.
 * @module
 */
import type { ErrorPolicy } from '../function.ts'

export interface FailurePolicy {
  /** How many times a record is tried again. */
  readonly retries: number
  /** What happens once the attempts are used up. */
  readonly last: 'fail' | 'skip' | 'deadLetter'
  /** Milliseconds before the second attempt. The wait doubles with each attempt, up to `waitMaxMs`. 0: at once. */
  readonly waitMs: number
  readonly waitMaxMs: number
  /** Whether later records with the same key wait for the one that is tried again. */
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

/** How long a record waits that was tried this many times. */
export function waitAfter(attempts: number, { waitMs, waitMaxMs }: FailurePolicy): number {
  return Math.min(waitMs * 2 ** Math.max(0, attempts - 1), waitMaxMs)
}
