/**
 * WantedShadow: the shadow that a function should have, according to its documents.
 *
 *   WS1. A version whose manifest asks for a shadow comes into force only by `promote` or by a rollback to it.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type { ShadowDocument, VersionDocument } from '../../../infra/store/index.ts'
import type { ShadowRules } from '../../../sdk/manifest/manifest.ts'
import { drainReason } from '../../../sdk/versions/swap.ts'
import { candidateOf } from './candidate.ts'
import type { WantedFunction } from './state.ts'

export interface WantedShadow {
  readonly version: VersionDocument
  /** The version in force. */
  readonly good: VersionDocument
  readonly rules: ShadowRules
  /** Progress; undefined: not begun. */
  readonly at: ShadowDocument | undefined
  /** Why it cannot run beside the good version. */
  readonly refused?: string | undefined
}

/** The shadow that a function should have, if any. */
export function shadowOf(wanted: WantedFunction | undefined): WantedShadow | undefined {
  const candidate = candidateOf(wanted)
  const rules = candidate?.version.manifest.rollout?.shadow
  if (candidate === undefined || rules === undefined) return undefined
  const { document, version, good } = candidate
  const at = document.shadow?.version === version.version ? document.shadow : undefined
  if (at?.promoted === true) return undefined
  return { version, good, rules, at, refused: drainReason(good, version, good.manifest.resources) }
}
