/**
 * Outcomes: what became of a version. Gateways write what a person has decided, the scheduler what it has seen, each over what is
 * there.
 *
 *   OU1. That a version has failed, and why, stays known whatever becomes of it later; so does what was found of it as a shadow.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { OutcomeDocument, VersionFailure } from './documents.ts'

/** What is written where `before` is. */
export function outcomeAfter(before: OutcomeDocument | undefined, now: OutcomeDocument): OutcomeDocument {
  const shadow = now.shadow ?? before?.shadow
  const failed = now.state === 'failed' ? undefined : failureOf(before)
  return { ...now, ...(shadow && { shadow }), ...(failed && { failed }) }
}

/** When a version failed last, and why. */
export function failureOf(outcome: OutcomeDocument | undefined): VersionFailure | undefined {
  if (outcome?.state !== 'failed') return outcome?.failed
  const { atMs, reason } = outcome
  return { atMs, ...(reason === undefined ? {} : { reason }) }
}
