/**
 * Packs: which instances may share a runner, and how many.
 *
 *   PK1. An instance that failed r times in a row shares only with instances that failed as often, in a runner with
 *        at most 1 / 2^r of the usual room. So an instance that ends the others in its runner is found by halving,
 *        and a known culprit is soon alone.
 * Design: docs/design/0009-packing.md
 * @module
 */
import type { VersionDocument } from '../../../infra/store/index.ts'
import { instancesPerRunnerOf, type Manifest } from '../../../sdk/manifest/manifest.ts'
import type { Resources } from '../../engine.ts'
import { versionsInForce } from '../state/in-force.ts'
import type { Slot, Wanted } from '../state/state.ts'
import { plus } from './resources.ts'

/**
 * What a packed runner needs besides its instances. Measured: Node, the platform's code and its heap take 83 to 105
 * MiB at 20,000 records a second.
 */
const runnerBase: Resources = { cpus: 0, memMib: 96, diskMib: 0 }

/** With whom a waiting instance may share a runner. */
export interface Sharing {
  readonly group: string
  readonly failures: number
  /** The number of instances that a new runner is made for. */
  readonly room: number
}

/** With whom an instance may share a runner; undefined if it has one to itself. */
export function sharingOf({ manifest }: VersionDocument, slot: Readonly<Slot>): Sharing | undefined {
  const room = instancesPerRunnerOf(manifest)
  if (room === undefined) return undefined
  const failures = slot.restarts
  return { group: groupOf(manifest), failures, room: Math.max(1, Math.floor(room / 2 ** failures)) }
}

/** The group whose instances may share a runner. */
export function groupOf({ name, pack }: Manifest): string {
  return pack === undefined ? `fn/${name}` : `pack/${pack}`
}

const packs = new WeakMap<Wanted, ReadonlyMap<string, readonly string[]>>()

/** By group: its functions. Memoized: a reading of the store never changes. */
export function packsOf(wanted: Wanted): ReadonlyMap<string, readonly string[]> {
  const found = packs.get(wanted) ?? findPacks(wanted)
  packs.set(wanted, found)
  return found
}

function findPacks({ functions }: Wanted): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const [name, wanted] of functions) {
    const packed = versionsInForce(wanted).filter(
      ({ manifest }) => instancesPerRunnerOf(manifest) !== undefined,
    )
    for (const group of new Set(packed.map(({ manifest }) => groupOf(manifest))))
      found.set(group, [...(found.get(group) ?? []), name])
  }
  return found
}

/** The resources of a runner with these instances. */
export function resourcesOf(instances: readonly Resources[]): Resources {
  return instances.reduce(plus, runnerBase)
}
