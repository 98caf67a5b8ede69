/**
 * Broken: the error that ended an isolate, and how often its record or timer is retried.
 * @module
 */
import type { ErrorReport } from '../../infra/control/messages/heartbeat.ts'
import type { FailurePolicy } from '../../sdk/manifest/policy.ts'
import { type BatchResult, starvedAttemptsMax } from '../isolate/index.ts'

export type Fatal = NonNullable<BatchResult['fatal']>

/** How many attempts may fail before the policy decides finally. */
export function chancesOf({ retries }: FailurePolicy, wasStarved: boolean): number {
  return wasStarved ? Math.max(retries, starvedAttemptsMax) : retries
}

/** The error as a report to the author, with the position in the code if known. */
export function brokenBy({ code, message, detail }: Fatal, timeMs: number): ErrorReport {
  const { at, frames } = detail as { readonly at?: string; readonly frames?: string }
  const stack = frames === undefined ? '' : `${code}: ${message}\n${frames}`
  return { name: code, message, stack, timeMs, ...(at !== undefined && { at }) }
}
