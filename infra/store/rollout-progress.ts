/**
 * RolloutProgress: the parts of a function's document that belong to the rollout of one version, and end with it.
 * @module
 */
import type { FunctionDocument } from './documents.ts'

export type RolloutProgress = Pick<FunctionDocument, 'drain' | 'atOnce' | 'canary' | 'shadow' | 'rolling'>

/** The document without the progress of a rollout: another version is wanted. */
export function withoutRollout<T extends RolloutProgress>(document: T): Omit<T, keyof RolloutProgress> {
  const { drain: _, atOnce: __, canary: ___, shadow: ____, rolling: _____, ...kept } = document
  return kept
}
