/**
 * Plan: what the caller says about a change of the wanted version, and the change once everything that could be
 * refused was checked.
 * @module
 */
import type { FunctionDocument, VersionDocument } from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import type { Candidate } from './gatekeeper.ts'
import type { Size } from './resources.ts'

/** What the caller asks of a deploy, and who asks. */
export interface DeployRequest {
  readonly author?: string | undefined
  readonly message?: string | undefined
  /** The number of instances, overriding the current one. */
  readonly instances?: number | undefined
  /** Sizes to take from the manifest even if they were set by hand. */
  readonly ownSizes?: readonly Size[] | undefined
  /** Drain and restart the instances instead of a swap in place. */
  readonly drain?: boolean | undefined
}

export function annotationsOf({
  author,
  message,
}: DeployRequest): Pick<VersionDocument, 'author' | 'message'> {
  return { ...(author === undefined ? {} : { author }), ...(message === undefined ? {} : { message }) }
}

export function drainOf({ drain }: DeployRequest): Pick<FunctionDocument, 'drain'> {
  return drain === true ? { drain } : {}
}

/** What the caller says about the gate. */
export interface GateWishes {
  /** Report the findings, and deploy nothing. */
  readonly dryRun?: boolean | undefined
  /** Deploy even if the rules ask. */
  readonly accept?: boolean | undefined
}

/** A change that was checked, and is not made yet. */
export interface Checked {
  /** The answer if nothing changes, and to a dry run. */
  readonly answer: DeployAnswer
  /** What the gate can judge; absent: nothing is new, or there is nothing to compare it with. */
  readonly judged?: Judged | undefined
  /** Makes the change. */
  apply(): Promise<DeployAnswer>
}

/** A version to judge beside the one that runs. */
export interface Judged {
  readonly live: LiveFunction
  readonly candidate: Omit<Candidate, 'partitions'>
  /** Stores its code where runners find it. Absent: they have it. */
  putCode?(): Promise<Partial<Candidate>>
}

/**
 * The number of instances after a deploy. With a scaling policy or a pin, only the bounds apply. A count changed by
 * hand stays as long as the manifest's count stays the same. A shadow changes nothing.
 */
export function instancesOf(
  { scale, instances: own, rollout }: Manifest,
  live: LiveFunction | undefined,
  requested: number | undefined,
): number {
  if (live?.document.good !== undefined && rollout?.shadow !== undefined) return live.document.instances
  const instances = requested ?? own
  if (scale === undefined) {
    const before = live?.version.manifest
    const isByHand = before?.scale === undefined || live?.document.pinned === true
    return requested === undefined && before?.instances === own && isByHand
      ? live!.document.instances
      : instances
  }
  if (live?.document.pinned === true) return live.document.instances
  const begun = live?.version.manifest.scale === undefined ? instances : live.document.instances
  return Math.min(scale.max, Math.max(scale.min, begun))
}
