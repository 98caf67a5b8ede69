/**
 * Scale: sets the number of instances by hand, and says what follows from it.
 * @module
 */
import type { z } from 'zod'
import type { ScalingDocument, Store } from '../../infra/store/index.ts'
import type { ScaleAnswer, Scaling, scaleSchema } from '../../sdk/api/index.ts'
import type { CatalogView, LiveFunction } from '../catalog/catalog.ts'
import type { Heartbeats } from '../catalog/heartbeats.ts'
import { functionSummary } from '../catalog/views.ts'
import { refuse } from '../errors.ts'
import { idleOf } from './remarks.ts'
import { scaleFunction, unknownFunction, unpinFunction } from './wishes.ts'

/** @throws {CodedError} ERR_FUNCTION_UNKNOWN, ERR_NO_POLICY */
export async function scaleAsWished(
  store: Store,
  ns: string,
  view: CatalogView,
  name: string,
  wish: z.output<typeof scaleSchema>,
  nowMs: number,
): Promise<ScaleAnswer> {
  const live = view.functions.get(name)
  if (live === undefined) throw unknownFunction(name)
  const { manifest } = live.version
  if ('instances' in wish) {
    const hasPolicy = manifest.scale !== undefined
    await scaleFunction(store, ns, name, wish.instances, { hasPolicy, nowMs })
    const idle = idleOf(view, manifest, wish.instances)
    return { instances: wish.instances, pinned: hasPolicy, ...(idle > 0 && { idle }) }
  }
  if (manifest.scale === undefined) {
    throw refuse(
      'ERR_NO_POLICY',
      `Cannot leave the number of instances of '${name}' to its policy: it has none. Add 'scale' to its concord.jsonc, e.g. "scale": { "min": 1, "max": 8 }, and deploy it.`,
    )
  }
  return { instances: await unpinFunction(store, ns, name), pinned: false }
}

export function scalingView(
  live: LiveFunction,
  heartbeats: Heartbeats,
  kept: ScalingDocument | undefined,
): Scaling {
  const { name, instancesWanted, instancesRunning } = functionSummary(live, heartbeats)
  const policy = live.version.manifest.scale
  return {
    ...{ name, instancesWanted, instancesRunning },
    ...(policy && { policy }),
    pinned: live.document.pinned === true,
    changes: [...(kept?.changes ?? []), ...(live.document.scaled ?? [])].sort((a, b) => a.atMs - b.atMs),
    ...(kept?.latest && { latest: kept.latest }),
  }
}
