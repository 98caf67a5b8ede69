/**
 * Scale: the number of instances, as a person or a deploy sets it, and what follows from it.
 *
 *   SC1. Every change by hand stays in the function's document, with its reason (the latest `scaledKept`).
 * @module
 */
import type { z } from 'zod'
import { type FunctionDocument, paths, type Store, upsert } from '../../infra/store/index.ts'
import type { ScaleAnswer, scaleSchema } from '../../sdk/api/index.ts'
import { type Manifest, partitionsDefault } from '../../sdk/manifest/manifest.ts'
import { type CatalogView, functionIn, type LiveFunction } from '../catalog/catalog.ts'
import { refuse, unknownFunction } from '../errors.ts'

const scaledKept = 20

/** @throws {CodedError} ERR_FUNCTION_UNKNOWN, ERR_NO_POLICY, ERR_TOO_MANY_INSTANCES */
export async function scaleAsWished(
  store: Store,
  ns: string,
  view: CatalogView,
  name: string,
  wish: z.output<typeof scaleSchema>,
  nowMs: number,
): Promise<ScaleAnswer> {
  const live = functionIn(view, name)
  const { manifest } = live.version
  if ('instances' in wish) {
    const hasPolicy = manifest.scale !== undefined
    refuseIdle(view, manifest, wish.instances)
    await scaleFunction(store, ns, name, wish.instances, { hasPolicy, nowMs })
    return { instances: wish.instances, pinned: hasPolicy }
  }
  if (manifest.scale === undefined) {
    throw refuse(
      'ERR_NO_POLICY',
      `Cannot leave the number of instances of '${name}' to its policy: it has none. Add 'scale' to its concord.jsonc, e.g. "scale": { "min": 1, "max": 8 }, and deploy it.`,
    )
  }
  return { instances: await unpinFunction(store, ns, name), pinned: false }
}

/**
 * Refuses instances that would own no partition, and get no record. Each gets all of a broadcast input.
 * @throws {CodedError} ERR_TOO_MANY_INSTANCES
 */
export function refuseIdle(
  { streams }: CatalogView,
  { name, istreams }: Pick<Manifest, 'name' | 'istreams'>,
  instances: number,
): void {
  const inputs = Object.entries(istreams)
  if (inputs.length === 0 || inputs.some(([, { grouping }]) => grouping === 'broadcast')) return
  const counts = inputs.map(([input]) => streams.get(input)?.document.partitions ?? partitionsDefault)
  const partitions = Math.max(...counts)
  if (instances <= partitions) return
  throw refuse(
    'ERR_TOO_MANY_INSTANCES',
    `Cannot give '${name}' ${instances} instances: its inputs have ${partitions} partition${partitions === 1 ? '' : 's'}, and one instance owns each, so ${instances - partitions} would get no record. Ask for ${partitions} at most, or for larger instances ('concord fn scale ${name} --cpus 2').`,
  )
}

/**
 * Sets the number of instances. If the function has a scaling policy, the number is a pin until a person removes it.
 */
async function scaleFunction(
  store: Store,
  ns: string,
  name: string,
  instances: number,
  { hasPolicy, nowMs }: { readonly hasPolicy: boolean; readonly nowMs: number },
): Promise<void> {
  await upsert<FunctionDocument>(store, paths.function(ns, name), (before) => {
    if (before === undefined || before.deleted === true) throw unknownFunction(name)
    const scaled = scaledTo(before, instances, nowMs, 'set by hand')
    return { ...before, instances, ...scaled, ...(hasPolicy && { pinned: true }) }
  })
}

/** A change of the count by hand, with the history of such changes (SC1). */
export function scaledTo(
  { instances: from, scaled = [] }: Pick<FunctionDocument, 'instances' | 'scaled'>,
  to: number,
  atMs: number,
  because: string,
): Pick<FunctionDocument, 'scaled'> {
  return from === to ? {} : { scaled: [...scaled, { atMs, from, to, because }].slice(-scaledKept) }
}

/**
 * The number of instances after a deploy: what there are, as long as the manifest's count stays the same; a policy that is new
 * begins with them too. A count that a policy set does not outlive it, and a pin outlives everything. A shadow changes nothing.
 */
export function instancesOf(
  { scale, instances: own, rollout }: Manifest,
  live: LiveFunction | undefined,
  requested: number | undefined,
): number {
  const { instances, good, pinned } = live?.document ?? {}
  if (instances !== undefined && good !== undefined && rollout?.shadow !== undefined) return instances
  const before = live?.version.manifest
  const isKept = requested === undefined && before?.instances === own
  const wasByPolicy = before?.scale !== undefined
  if (scale === undefined) return isKept && (!wasByPolicy || pinned) ? instances! : (requested ?? own)
  if (pinned) return instances!
  const begun = isKept || wasByPolicy ? instances! : (requested ?? own)
  return Math.min(scale.max, Math.max(scale.min, begun))
}

/** Removes the pin, so that the function's policy scales again. @returns How many instances are wanted so far. */
async function unpinFunction(store: Store, ns: string, name: string): Promise<number> {
  let instances = 0
  await upsert<FunctionDocument>(store, paths.function(ns, name), (before) => {
    if (before === undefined || before.deleted === true) throw unknownFunction(name)
    const { pinned: _, ...rest } = before
    instances = rest.instances
    return rest
  })
  return instances
}
