/**
 * Policy: a reaction to failure with all that it leaves unsaid.
 * @module
 */
import type { ErrorPolicy } from './function.ts'

export type FinalReaction = 'fail' | 'skip' | 'deadLetter'

export interface FailurePolicy {
  /** How often a record is tried again. */
  readonly retries: number
  /** Before the second attempt; doubled for each one after it. 0: at once. */
  readonly backoffMs: number
  /** Later records of the same key wait for one that is to be tried again. */
  readonly keepsKeyOrder: boolean
  /** When the attempts are used up. */
  readonly last: FinalReaction
}

/** Longest wait between two attempts. */
export const backoffMsMax = 60_000

export function policyOf(policy: ErrorPolicy): FailurePolicy {
  if (typeof policy === 'string') return { retries: 0, backoffMs: 0, keepsKeyOrder: false, last: policy }
  const { retry, backoffMs = 0, order = 'none', then } = policy
  return { retries: retry, backoffMs, keepsKeyOrder: order === 'key', last: then }
}

/** How long a record waits that has been tried `attempts` times. */
export function waitMsAfter({ backoffMs }: FailurePolicy, attempts: number): number {
  return Math.min(backoffMsMax, backoffMs * 2 ** Math.min(30, attempts - 1))
}
