/**
 * Describing: keeps the topology, what producers must know about each stream, up to date with the functions.
 *
 *   DT1. It is computed anew only if a function in the scope contributes something else than before (`described`), or if
 *        everything is looked at.
 * Design: docs/design/0034-incremental-plan.md
 * @module
 */
import type { VersionDocument } from '../../infra/store/index.ts'
import { readersOf } from './instances/slots.ts'
import { describeStreams } from './partitions/topology.ts'
import type { Draft } from './state/draft.ts'
import { isEqual } from './state/equality.ts'
import { versionsInForce } from './state/in-force.ts'
import type { FunctionState } from './state/state.ts'
import { canaryOf } from './state/wanted-canary.ts'

/**
 * Recomputes the topology if a function's contribution to it has changed (DT1).
 * @returns Whether the topology is another.
 */
export function describeAgain(draft: Draft, names: readonly string[], all: boolean): boolean {
  let isNews = all
  for (const name of names) {
    const fn = draft.fn(name)
    const described = JSON.stringify([
      manifestsOf(draft, fn).map(({ version, deployedAtMs }) => [version, deployedAtMs]),
      readersOf(fn),
    ])
    if (fn.described !== described) isNews = true
    fn.described = described
  }
  if (!isNews) return false
  const topology = describe(draft)
  if (isEqual(topology, draft.state.topology)) return false
  draft.state.topology = topology
  return true
}

/** The versions that count for the description of a function's streams, the wanted one first. */
function manifestsOf(draft: Draft, fn: FunctionState): VersionDocument[] {
  const found = draft.state.wanted.functions.get(fn.name)
  const inForce = versionsInForce(found)
  const others = new Set(fn.slots.flatMap((slot) => slot.seat?.document.version ?? []))
  for (const { version } of inForce) others.delete(version)
  const seated = [...others].map((version) => found?.versions.get(version))
  return [...inForce, canaryOf(found)?.version, ...seated].filter((version) => version !== undefined)
}

function describe(draft: Draft) {
  const all = [...draft.functions.values()]
  const manifests = all.flatMap((fn) => manifestsOf(draft, fn)).map(({ manifest }) => manifest)
  const followers = new Map(
    [...draft.state.wanted.followers].map(([stream, byId]) => [
      stream,
      new Map([...byId].filter(([id]) => draft.state.followersSeen.has(`${stream}/${id}`))),
    ]),
  )
  const readers = new Map(all.map((fn) => [fn.name, readersOf(fn)]))
  const { functions, streams } = draft.state.wanted
  const createdAtMs = new Map([...functions].map(([name, { document }]) => [name, document.createdAtMs]))
  return describeStreams({ manifests, readers, createdAtMs, streams, followers })
}
