/**
 * Code: a version as runners are told of it, from its document; and another version in the place of the working one.
 * @module
 */
import type { AssignedCode, FunctionAssignment } from './messages/assignment.ts'

type Contents = Omit<AssignedCode, 'format'>

/**
 * @param good The version in force, whose state must stay readable. Absent: there is none.
 * @param before The formats of good versions before (`FunctionDocument.formatsBefore`).
 */
export function codeOf(
  document: Contents & { readonly stateFormat?: number },
  good?: { readonly stateFormat?: number },
  before: readonly number[] = [],
): AssignedCode {
  const { stateFormat: own = 1 } = document
  const kept = good === undefined ? own : Math.min(own, good.stateFormat ?? 1)
  const format = { own, kept, ...(before.length > 0 && { before }) }
  return { ...contentsOf(document), ...(own === 1 && kept === 1 ? {} : { format }) }
}

/** The assignment of another version beside the working one, in the same instances. */
export function versionBeside(fn: FunctionAssignment, code: AssignedCode): FunctionAssignment {
  const { function: name, streams, groupings } = fn
  const { format } = code
  return {
    function: name,
    streams,
    groupings,
    ...contentsOf(code),
    ...(format === undefined ? {} : { format }),
  }
}

function contentsOf({ version, bundleSha256, sourceMapSha256, assets, manifest }: Contents): Contents {
  return {
    ...{ version, bundleSha256, manifest },
    ...(sourceMapSha256 === undefined ? {} : { sourceMapSha256 }),
    ...(assets === undefined ? {} : { assets }),
  }
}
