/**
 * Outcomes: the outcome of a version. Gateways write what a person decided, the scheduler what it saw, each merged
 * with what is there.
 *
 *   OU1. A failure and its reason stay known whatever becomes of the version later, and so do its findings as a
 *        shadow.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { OutcomeDocument, VersionFailure } from './documents.ts'

/** The document to write over `before`. */
export function outcomeAfter(before: OutcomeDocument | undefined, now: OutcomeDocument): OutcomeDocument {
  const shadow = now.shadow ?? before?.shadow
  const failed = now.state === 'failed' ? undefined : failureOf(before)
  return { ...now, ...(shadow && { shadow }), ...(failed && { failed }) }
}

/** When and why a version last failed. */
export function failureOf(outcome: OutcomeDocument | undefined): VersionFailure | undefined {
  if (outcome?.state !== 'failed') return outcome?.failed
  const { atMs, reason } = outcome
  return { atMs, ...(reason === undefined ? {} : { reason }) }
}
