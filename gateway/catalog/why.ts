/**
 * Why: explains in sentences where a function's instances are, and why. Pure.
 * @module
 */
import type { InstanceStatus } from '../../infra/store/index.ts'
import type { HeldBack, Why } from '../../sdk/api/index.ts'
import { placementSchema } from '../../sdk/manifest/manifest.ts'
import type { LiveFunction } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { functionSummary, isCanary, isRolling } from './views.ts'

export function functionWhy(
  live: LiveFunction,
  heartbeats: Heartbeats,
  heldBackBy: readonly HeldBack[] = [],
): Why {
  const { name, version, live: good, instancesWanted, instancesRunning } = functionSummary(live, heartbeats)
  const placement = live.version.manifest.placement ?? placementSchema.parse({})
  const instances = (live.status?.instances ?? []).map((status) => ({
    id: status.id,
    state: status.state,
    ...(status.agent === undefined ? {} : { agent: status.agent }),
    ...(status.hostname === undefined ? {} : { hostname: status.hostname }),
    why: [...silence(status, heartbeats), ...sentences(status), ...waitedForBy(live, status)],
  }))
  const byHand = setByHand(live)
  return {
    ...{ name, version, ...(good !== undefined && { live: good }) },
    ...{ instancesWanted, instancesRunning, ...(byHand && { byHand }) },
    ...(heldBackBy.length > 0 && { heldBackBy: [...heldBackBy] }),
    ...{ placement, instances },
  }
}

/** The change that a flag of `fn deploy`, `fn scale` or `kill` has made to the manifest's count. */
function setByHand({ name, document, version: { manifest } }: LiveFunction): string | undefined {
  const { instances, scale } = manifest
  if (document.deleted === true || scale !== undefined || document.instances === instances) return undefined
  return `the manifest says ${instances}, and ${document.instances} was set by hand ('fn deploy --instances', 'fn scale', or 'kill' without --restart): \`concord fn scale ${name} ${instances}\` goes back to it`
}

/** Runners beat every second, so silence shows a loss before the cluster reports it. */
const silenceMs = 5_000

function silence({ state, taskId }: InstanceStatus, heartbeats: Heartbeats): string[] {
  const silentMs = state === 'running' && taskId !== undefined ? heartbeats.silentMs(taskId) : 0
  if (silentMs < silenceMs) return []
  return [
    `this gateway has heard nothing of it for ${Math.floor(silentMs / 1000)} s, and no scheduler has noted that it is gone`,
  ]
}

/**
 * What waits for an instance: a canary's step ends when every wanted instance has reported, a wave when all its
 * instances run the version.
 */
function waitedForBy({ document }: LiveFunction, status: InstanceStatus): string[] {
  const { state, retiring, version, index } = status
  if (retiring === true) return []
  if (isCanary(document))
    return state === 'running' ? [] : [`the canary v${document.version} waits for it before it goes on`]
  const { rolling } = document
  if (!isRolling(document) || rolling === undefined) return []
  if (!rolling.indexes.includes(index))
    return [`it has v${document.good} until the wave of v${rolling.version} comes to it`]
  if (state === 'running' && version === rolling.version) return []
  return [`wave ${rolling.wave} of v${rolling.version} waits for it before the next one begins`]
}

const stateSentences: Readonly<Partial<Record<InstanceStatus['state'], string>>> = {
  waiting: 'it waits for an offer',
  launching: 'it was launched, and the cluster has not said yet that it runs',
  starting: 'its runner lives, and has not said yet that the instance is at work',
  draining: 'it was asked to end, and finishes what it has begun',
  backingOff: 'it has failed, and pauses before the next attempt',
}

function sentences(status: InstanceStatus): string[] {
  const { state, why, placed, restarts, lastExit } = status
  const told = why ?? stateSentences[state]
  const last = lastExit === undefined ? '' : `, last: ${lastExit.reason}: ${lastExit.message}`
  return [
    ...(told === undefined ? [] : [told]),
    ...(placed === undefined ? [] : [placed]),
    ...(isFailing(status) ? [`it has failed ${restarts} in a row${last}`] : []),
  ]
}

/** Whether an instance has failed, and has not worked since. */
export function isFailing({
  state,
  restarts,
  lastExit,
}: Pick<InstanceStatus, 'state' | 'restarts' | 'lastExit'>): boolean {
  return lastExit !== undefined && restarts > 0 && state !== 'running'
}
