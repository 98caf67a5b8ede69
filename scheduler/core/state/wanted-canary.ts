/**
 * WantedCanary: the canary that a function should have, according to its documents.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import type { CanaryDocument, VersionDocument } from '../../../infra/store/index.ts'
import type { CanaryRules } from '../../../sdk/manifest/manifest.ts'
import { drainReason } from '../../../sdk/versions/swap.ts'
import { candidateOf } from './candidate.ts'
import type { WantedFunction } from './state.ts'
import { shadowOf } from './wanted-shadow.ts'

export interface WantedCanary {
  readonly version: VersionDocument
  /** The version in force. */
  readonly good: VersionDocument
  readonly rules: CanaryRules
  /** Progress; undefined: not begun. */
  readonly at: CanaryDocument | undefined
}

/** The canary that a function should have, if any. */
export function canaryOf(wanted: WantedFunction | undefined): WantedCanary | undefined {
  const candidate = candidateOf(wanted)
  const rules = candidate?.version.manifest.rollout?.canary
  if (candidate === undefined || rules === undefined || shadowOf(wanted) !== undefined) return undefined
  const { document, version, good } = candidate
  if (document.drain === true) return undefined
  const at = document.canary?.version === version.version ? document.canary : undefined
  if (at?.promoted === true) return undefined
  // A version that cannot take over in place cannot run beside the good one either.
  if (drainReason(good, version, good.manifest.resources) !== undefined) return undefined
  return { version, good, rules, at }
}
