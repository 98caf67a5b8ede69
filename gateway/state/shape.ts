/**
 * Shape: which partitions of state a function has.
 * @module
 */
import type { CatalogView, LiveFunction } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'

export interface Shape {
  /** Partitions that are shared among the instances. */
  readonly shared: number
  /** Partitions of inputs that are grouped by key; 0: there is none. */
  readonly keyed: number
  /** Partitions of broadcast inputs, of which each instance has state of its own. */
  readonly own: number
}

export function shapeOf({ streams }: CatalogView, { version }: LiveFunction): Shape {
  const inputs = Object.entries(version.manifest.istreams).map(([stream, { grouping }]) => ({
    grouping,
    partitions: streams.get(stream)?.document.partitions ?? 0,
  }))
  const most = (these: typeof inputs) => Math.max(0, ...these.map(({ partitions }) => partitions))
  return {
    shared: most(inputs.filter(({ grouping }) => grouping !== 'broadcast')),
    keyed: most(inputs.filter(({ grouping }) => grouping === 'groupBy')),
    own: most(inputs.filter(({ grouping }) => grouping === 'broadcast')),
  }
}

/** The shared partitions that are asked for. */
export function askedOf(name: string, { shared, own }: Shape, partition: number | undefined): number[] {
  if (partition === undefined) return Array.from({ length: shared }, (_, share) => share)
  if (partition < shared) return [partition]
  if (own > 0) return []
  const text = `its inputs have the partitions 0 to ${shared - 1}`
  throw refuse(
    'ERR_PARTITION_UNKNOWN',
    `Cannot read partition ${partition} of the state of '${name}': ${text}.`,
  )
}
