/**
 * Outcomes: a leader's writes of version outcomes, over those that gateways have written (performer.ts).
 * @module
 */
import type { OutcomeDocument } from '../../infra/store/documents.ts'
import { outcomeAfter } from '../../infra/store/outcomes.ts'
import type { Refusal, Session, StoreModel } from './store.ts'

export function putOutcome(
  store: StoreModel,
  name: string,
  outcome: OutcomeDocument,
  by: Session | undefined,
): number | Refusal {
  const key = `${name}@${outcome.version}`
  const found = store.get<OutcomeDocument>('outcome', key)
  const next = outcomeAfter(found?.value, outcome)
  return found === undefined
    ? store.create('outcome', key, next, by)
    : store.update('outcome', key, next, found.version, by)
}

/** Of a function that is removed. */
export function removeOutcomes(store: StoreModel, name: string, by: Session | undefined): void {
  for (const key of store.names('outcome'))
    if (key.startsWith(`${name}@`)) store.remove('outcome', key, undefined, by)
}
