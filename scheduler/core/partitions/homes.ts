/**
 * Homes: which instance each share of a function's partitions belongs to.
 *
 *   HO1. Share p belongs to the (p mod n)-th of the n wanted instances, in the order of their indexes.
 *   HO2. While a version that keeps its state in another format comes to some instances after others, each share stays where it
 *        lay when that began, and those instances stay wanted: what it has written of a share cannot be read by the others.
 *   HO3. A share that a person has put somewhere belongs there while that instance is wanted; else to whom HO1 gives it.
 * Design: docs/design/0033-rolling.md, 0036-moved-by-hand.md
 * @module
 */
import type { Manifest } from '../../../sdk/manifest/manifest.ts'
import type { Draft } from '../state/draft.ts'
import { rollingOf } from '../state/in-force.ts'
import type { FunctionState } from '../state/state.ts'

/** By share: the index that it belongs to; undefined where nobody is wanted. */
export type Homes = (share: number) => number | undefined

export function homesOf(draft: Draft, fn: Readonly<FunctionState>, active: readonly number[]): Homes {
  const kept = keptHomes(draft, fn)
  const said = draft.state.wanted.functions.get(fn.name)?.document.homes ?? {}
  return (share) => {
    const put = said[share]
    return kept?.[share] ?? (put !== undefined && active.includes(put) ? put : active[share % active.length])
  }
}

/** HO2: by share, from when it was asked for on. */
export function keptHomes(draft: Draft, fn: Readonly<FunctionState>): readonly number[] | undefined {
  const rolling = rollingOf(draft.state.wanted.functions.get(fn.name))
  if (rolling === undefined) return undefined
  const asked = fn.rolling?.version === rolling.version.version ? fn.rolling.homes : undefined
  return rolling.at?.homes ?? asked
}

/** Where each share lies now; one that nobody has: where it belongs. */
export function homesNow(
  draft: Draft,
  fn: Readonly<FunctionState>,
  manifest: Manifest,
  active: readonly number[],
): number[] {
  const homeOf = homesOf(draft, fn, active)
  const holders = new Map(
    fn.slots.flatMap(
      ({ index, seat }) => seat?.document.shares.map((share) => [share, index] as const) ?? [],
    ),
  )
  return Array.from(
    { length: sharesOf(draft, manifest) },
    (_, share) => holders.get(share) ?? homeOf(share) ?? 0,
  )
}

/** How many shares there are: as many as its input with the most partitions has. */
export function sharesOf(draft: Draft, manifest: Manifest): number {
  return Object.entries(manifest.istreams)
    .filter(([, input]) => input.grouping !== 'broadcast')
    .reduce((most, [stream]) => Math.max(most, draft.state.topology.get(stream)?.partitions ?? 0), 0)
}
