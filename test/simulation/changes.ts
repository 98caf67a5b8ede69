/**
 * Changes: a leader's changes of function documents, each a function of the stored document (performer.ts).
 * Undefined: nothing to change.
 * @module
 */
import type {
  CanaryDocument,
  FunctionDocument,
  OutcomeDocument,
  RollingDocument,
  ShadowDocument,
} from '../../infra/store/documents.ts'

export type Change = (document: FunctionDocument) => FunctionDocument | undefined

/** Counts an instance off, once for each command. */
export const lowered =
  (command: string): Change =>
  (document) => {
    const { applied = [], instances } = document
    if (applied.includes(command)) return undefined
    return { ...document, instances: Math.max(0, instances - 1), applied: [...applied, command] }
  }

/** What a scaler wants, unless something else is wanted by then. */
export const scaled =
  (from: number, to: number): Change =>
  (document) =>
    document.instances !== from || document.deleted ? undefined : { ...document, instances: to }

export const atStep =
  (canary: CanaryDocument): Change =>
  (document) =>
    document.version === canary.version ? { ...document, canary } : undefined

export const asShadow =
  (shadow: ShadowDocument): Change =>
  (document) =>
    document.version === shadow.version ? { ...document, shadow } : undefined

export const rollsTo =
  (rolling: RollingDocument): Change =>
  (document) =>
    document.version === rolling.version ? { ...document, rolling } : undefined

export const settled =
  (good: number, outcome: OutcomeDocument): Change =>
  ({ drain: _, atOnce: __, canary: ___, shadow: ____, rolling: _____, ...document }) =>
    document.version === outcome.version && (document.good !== good || document.version !== good)
      ? { ...document, version: good, good }
      : undefined
