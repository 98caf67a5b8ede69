/**
 * InForce: which version of a function each of its instances is to run now.
 *
 *   IF1. It follows from the function's document alone, so whoever leads next finds the same.
 * @module
 */
import type { RollingDocument, VersionDocument } from '../../../infra/store/index.ts'
import type { WantedFunction } from './state.ts'
import { canaryOf } from './wanted-canary.ts'
import { shadowOf } from './wanted-shadow.ts'

/** A version that comes to some instances after others. */
export interface WantedRolling {
  readonly version: VersionDocument
  /** The one that the others have. */
  readonly good: VersionDocument
  /** Instances at a time. */
  readonly width: number
  /** It writes state that the good one cannot read (docs/design/0032-migrate.md). */
  readonly isOtherFormat: boolean
  /** Undefined: it has not begun. */
  readonly at: RollingDocument | undefined
}

/**
 * The version in force for whatever does not depend on the instance, whatever is beside it or on its way; none if the
 * function is unknown or deleted.
 */
export function versionInForce(wanted: WantedFunction | undefined): VersionDocument | undefined {
  if (wanted === undefined || wanted.document.deleted) return undefined
  const onItsWay = shadowOf(wanted) ?? canaryOf(wanted) ?? rollingOf(wanted)
  return onItsWay?.good ?? wanted.versions.get(wanted.document.version)
}

/** The version that was last seen to work, if it is still there. */
export function goodOf(wanted: WantedFunction | undefined): VersionDocument | undefined {
  const good = wanted?.document.good
  return good === undefined ? undefined : wanted?.versions.get(good)
}

/** The version that an instance is to run. */
export function versionAt(wanted: WantedFunction | undefined, index: number): VersionDocument | undefined {
  const rolling = rollingOf(wanted)
  return rolling?.at?.indexes.includes(index) ? rolling.version : versionInForce(wanted)
}

/** Every version that one of its instances is to run, that in force first. */
export function versionsInForce(wanted: WantedFunction | undefined): VersionDocument[] {
  const rolling = rollingOf(wanted)
  const next = rolling?.at === undefined ? undefined : rolling.version
  return [versionInForce(wanted), next].filter((version) => version !== undefined)
}

/** The rolling change that a function is to have; a shadow comes first, and a canary. */
export function rollingOf(wanted: WantedFunction | undefined): WantedRolling | undefined {
  if (wanted === undefined || (shadowOf(wanted) ?? canaryOf(wanted)) !== undefined) return undefined
  const { document, versions } = wanted
  if (document.deleted === true || document.atOnce === true) return undefined
  const version = versions.get(document.version)
  const good = document.good === undefined ? undefined : versions.get(document.good)
  const width = version?.manifest.rollout?.rolling
  if (version === undefined || good === undefined || good === version || width === undefined) return undefined
  const at = document.rolling?.version === version.version ? document.rolling : undefined
  const isOtherFormat = (version.stateFormat ?? 1) !== (good.stateFormat ?? 1)
  return { version, good, width, isOtherFormat, at }
}
