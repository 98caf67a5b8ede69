/**
 * InForce: which version each instance of a function should run now.
 *
 *   IF1. This depends only on the function's documents, so a new leader comes to the same result.
 * @module
 */
import type { RollingDocument, VersionDocument } from '../../../infra/store/index.ts'
import { candidateOf } from './candidate.ts'
import type { WantedFunction } from './state.ts'
import { canaryOf } from './wanted-canary.ts'
import { shadowOf } from './wanted-shadow.ts'

/** A rolling deploy that a function should have. */
export interface WantedRolling {
  readonly version: VersionDocument
  /** The version of the other instances. */
  readonly good: VersionDocument
  /** Instances in a wave. */
  readonly width: number
  /** The version's state has a format that the good one cannot read (docs/design/0032-migrate.md). */
  readonly isOtherFormat: boolean
  /** Progress; undefined: not begun. */
  readonly at: RollingDocument | undefined
}

/**
 * The version in force for everything that does not depend on the instance: the good one, while a shadow, canary or
 * rolling deploy is under way. Undefined if the function is unknown or deleted.
 */
export function versionInForce(wanted: WantedFunction | undefined): VersionDocument | undefined {
  if (wanted === undefined || wanted.document.deleted) return undefined
  const onItsWay = shadowOf(wanted) ?? canaryOf(wanted) ?? rollingOf(wanted)
  return onItsWay?.good ?? wanted.versions.get(wanted.document.version)
}

/** Whether a function was deleted, or is not in the store. */
export function isUnwanted(wanted: WantedFunction | undefined): boolean {
  return wanted === undefined || wanted.document.deleted === true
}

/** The version that an instance should run. */
export function versionAt(wanted: WantedFunction | undefined, index: number): VersionDocument | undefined {
  const rolling = rollingOf(wanted)
  return rolling?.at?.indexes.includes(index) ? rolling.version : versionInForce(wanted)
}

/** Every version that some instance should run, the one in force first. */
export function versionsInForce(wanted: WantedFunction | undefined): VersionDocument[] {
  const rolling = rollingOf(wanted)
  const next = rolling?.at === undefined ? undefined : rolling.version
  return [versionInForce(wanted), next].filter((version) => version !== undefined)
}

/** The rolling deploy that a function should have; none while a shadow or a canary is wanted. */
export function rollingOf(wanted: WantedFunction | undefined): WantedRolling | undefined {
  const candidate = candidateOf(wanted)
  const width = candidate?.version.manifest.rollout?.rolling
  if (candidate === undefined || width === undefined) return undefined
  if ((shadowOf(wanted) ?? canaryOf(wanted)) !== undefined) return undefined
  const { document, version, good } = candidate
  const at = document.rolling?.version === version.version ? document.rolling : undefined
  const isOtherFormat = (version.stateFormat ?? 1) !== (good.stateFormat ?? 1)
  return { version, good, width, isOtherFormat, at }
}
