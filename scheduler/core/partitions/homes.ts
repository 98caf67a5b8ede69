/**
 * Homes: which instance each share of a function's partitions belongs to.
 *
 *   HO1. Share p belongs to the (p mod n)-th of the n wanted instances, in the order of their indexes.
 *   HO2. While a rolling deploy brings a version with another format of state, each share stays where it was when the
 *        deploy began, and its instance stays wanted: instances with the old version cannot read what the new one
 *        wrote.
 *   HO3. A share that a person has moved belongs to that instance as long as it is wanted, and otherwise to the one
 *        of HO1.
 * Design: docs/design/0033-rolling.md, 0036-moved-by-hand.md
 * @module
 */
import type { Manifest } from '../../../sdk/manifest/manifest.ts'
import type { Draft } from '../state/draft.ts'
import { rollingOf } from '../state/in-force.ts'
import { activeOf } from '../state/roles.ts'
import type { FunctionState } from '../state/state.ts'

/** By share: the index that it belongs to; undefined if no instance is wanted. */
export type Homes = (share: number) => number | undefined

export function homesOf(draft: Draft, fn: Readonly<FunctionState>): Homes {
  const active = activeOf(fn)
  const kept = keptHomes(draft, fn)
  const moved = draft.state.wanted.functions.get(fn.name)?.document.homes ?? {}
  return (share) => {
    const put = moved[share]
    return kept?.[share] ?? (put !== undefined && active.includes(put) ? put : active[share % active.length])
  }
}

/** HO2: by share, the index where it was when the rolling deploy was requested; undefined without one. */
export function keptHomes(draft: Draft, fn: Readonly<FunctionState>): readonly number[] | undefined {
  const rolling = rollingOf(draft.state.wanted.functions.get(fn.name))
  if (rolling === undefined) return undefined
  const asked = fn.rolling?.version === rolling.version.version ? fn.rolling.homes : undefined
  return rolling.at?.homes ?? asked
}

/** By share: the index that has it now, or its home if nobody has it. */
export function homesNow(draft: Draft, fn: Readonly<FunctionState>, manifest: Manifest): number[] {
  const homeOf = homesOf(draft, fn)
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

/** The number of shares: the partitions of the input that has the most, broadcast inputs excepted. */
export function sharesOf(draft: Draft, manifest: Manifest): number {
  return Object.entries(manifest.istreams)
    .filter(([, input]) => input.grouping !== 'broadcast')
    .reduce((most, [stream]) => Math.max(most, draft.state.topology.get(stream)?.partitions ?? 0), 0)
}
