/**
 * Packs: which instances may share a runner, and how much room a runner is given.
 *
 *   PK1. Who has failed r times in a row shares only with who failed as often, and with at most 1 / 2^r of the room: so
 *        one that ends its mates is found by halves, and one that is known as the culprit is alone soon.
 * Design: docs/design/0009-packing.md
 * @module
 */
import type { VersionDocument } from '../../../infra/store/index.ts'
import { instancesPerRunnerOf, type Manifest } from '../../../sdk/manifest/manifest.ts'
import type { Resources } from '../../engine.ts'
import { versionsInForce } from '../state/in-force.ts'
import type { Slot, Wanted } from '../state/state.ts'
import { plus } from './resources.ts'

/** What a packed runner takes beside its instances: Node, the platform's code and its own heap have 83 to 105 MiB at 20,000 records a second. */
export const runnerBase: Resources = { cpus: 0, memMib: 96, diskMib: 0 }

/** Of a waiting instance: whom it may share a runner with. */
export interface Sharing {
  readonly group: string
  readonly failures: number
  /** Instances that a new runner is made for. */
  readonly room: number
}

/** Undefined for an instance that has a runner to itself. */
export function sharingOf({ manifest }: VersionDocument, slot: Readonly<Slot>): Sharing | undefined {
  const room = instancesPerRunnerOf(manifest)
  if (room === undefined) return undefined
  const failures = slot.restarts
  return { group: groupOf(manifest), failures, room: Math.max(1, Math.floor(room / 2 ** failures)) }
}

/** Whose instances may share a runner. */
export function groupOf({ name, pack }: Manifest): string {
  return pack === undefined ? `fn/${name}` : `pack/${pack}`
}

const packs = new WeakMap<Wanted, ReadonlyMap<string, readonly string[]>>()

/** By group: the functions whose instances may share a runner. It follows from a reading of the store, which never changes. */
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

/** What a runner needs that holds these instances. */
export function resourcesOf(instances: readonly Resources[]): Resources {
  return instances.reduce(plus, runnerBase)
}
