/**
 * Candidate: a version that is wanted and not known to be good yet, with the good version before it. A shadow, a canary
 * and a rolling deploy are three ways to try one.
 * @module
 */
import type { FunctionDocument, VersionDocument } from '../../../infra/store/index.ts'
import type { WantedFunction } from './state.ts'

export interface Candidate {
  readonly document: FunctionDocument
  readonly version: VersionDocument
  readonly good: VersionDocument
}

/**
 * The version to try. Undefined if there is nothing to try (the good version is wanted, or there is none yet), if the
 * function is deleted, or if the version is to take over at once.
 */
export function candidateOf(wanted: WantedFunction | undefined): Candidate | undefined {
  if (wanted === undefined || wanted.document.deleted === true || wanted.document.atOnce === true)
    return undefined
  const { document, versions } = wanted
  const version = versions.get(document.version)
  const good = goodOf(wanted)
  if (version === undefined || good === undefined || good === version) return undefined
  return { document, version, good }
}

/** The good version, if it still exists. */
export function goodOf(wanted: WantedFunction | undefined): VersionDocument | undefined {
  const good = wanted?.document.good
  return good === undefined ? undefined : wanted?.versions.get(good)
}
