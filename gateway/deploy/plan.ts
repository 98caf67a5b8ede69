/**
 * Plan: what a deploy is to do, when all that could be refused was checked.
 * @module
 */
import type { FunctionDocument, VersionDocument } from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import type { Candidate } from './gatekeeper.ts'
import type { Size } from './resources.ts'

/** What who deploys says of it. */
export interface Said {
  readonly author?: string | undefined
  readonly message?: string | undefined
  /** How many instances, whatever there were. */
  readonly instances?: number | undefined
  /** Sizes that are its manifest's, whatever was set by hand. */
  readonly ownSizes?: readonly Size[] | undefined
  /** Not in place: instances end in order, and others are started. */
  readonly drain?: boolean | undefined
}

export function wordsOf({ author, message }: Said): Pick<VersionDocument, 'author' | 'message'> {
  return { ...(author === undefined ? {} : { author }), ...(message === undefined ? {} : { message }) }
}

export function drainOf({ drain }: Said): Pick<FunctionDocument, 'drain'> {
  return drain === true ? { drain } : {}
}

/** What who deploys says of the gate. */
export interface GateWishes {
  /** To be told what it finds, and nothing else. */
  readonly dryRun?: boolean | undefined
  /** To go on where its rules ask. */
  readonly accept?: boolean | undefined
}

/** What is to be done, when all was checked. */
export interface Plan {
  readonly live: LiveFunction | undefined
  readonly assets: AssetRefs
  readonly isNew: boolean
  /** If nothing changes. */
  readonly answer: DeployAnswer
  /** What the gate judges. */
  readonly candidate: Omit<Candidate, 'partitions'> & {
    /** Puts its code where runners find it. */
    readonly make: () => Promise<Partial<Candidate>>
  }
}

export interface DeployPlan extends Plan, Pick<VersionDocument, 'manifestResources'> {
  readonly format: Pick<VersionDocument, 'migrates' | 'stateFormat'>
}

/**
 * Where a policy rules, or a person has spoken, a deploy changes nothing but the bounds. A count that was changed by hand stays as long
 * as that of the manifest does; a shadow changes nothing at all.
 */
export function instancesOf(
  { scale, instances: own, rollout }: Manifest,
  live: LiveFunction | undefined,
  said: number | undefined,
): number {
  if (live?.document.good !== undefined && rollout?.shadow !== undefined) return live.document.instances
  const instances = said ?? own
  if (scale === undefined) {
    const before = live?.version.manifest
    const isByHand = before?.scale === undefined || live?.document.pinned === true
    return said === undefined && before?.instances === own && isByHand ? live!.document.instances : instances
  }
  if (live?.document.pinned === true) return live.document.instances
  const begun = live?.version.manifest.scale === undefined ? instances : live.document.instances
  return Math.min(scale.max, Math.max(scale.min, begun))
}
