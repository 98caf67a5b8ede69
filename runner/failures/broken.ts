/**
 * Broken: what an isolate was ended by, and how often what did that is tried again.
 * @module
 */
import type { ErrorReport } from '../../infra/control/messages.ts'
import type { FailurePolicy } from '../../sdk/manifest/policy.ts'
import type { BatchResult } from '../isolate/index.ts'

export type Fatal = NonNullable<BatchResult['fatal']>

/** What its machine has broken, which had no CPU for it, is tried so often at least (RE3 of reactions.ts). */
const starvedAttemptsMax = 10

export function isStarved({ detail }: Fatal): boolean {
  return detail['starved'] === true
}

/** How many attempts may fail before the policy has its last word. */
export function chancesOf({ retries }: FailurePolicy, wasStarved: boolean): number {
  return wasStarved ? Math.max(retries, starvedAttemptsMax) : retries
}

/** As an error of the author's, where it is known where the code stood. */
export function brokenBy({ code, message, detail }: Fatal, timeMs: number): ErrorReport {
  const { at, frames } = detail as { readonly at?: string; readonly frames?: string }
  const stack = frames === undefined ? '' : `${code}: ${message}\n${frames}`
  return { name: code, message, stack, timeMs, ...(at !== undefined && { at }) }
}
