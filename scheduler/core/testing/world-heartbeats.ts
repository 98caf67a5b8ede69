/**
 * Heartbeats of the runners in the simulation. Test equipment.
 * @module
 */
import type { Awaited, FunctionAssignment, Giving } from '../../../infra/control/messages/assignment.ts'
import type { Heartbeat, InstanceReport, SwapReport } from '../../../infra/control/messages/heartbeat.ts'
import { type CanaryReport, noEvidence } from '../../../sdk/versions/canary.ts'
import { noShadowEvidence, type ShadowReport } from '../../../sdk/versions/shadow.ts'

export interface WorldInstance {
  readonly id: string
  readonly function: string
  readonly index: number
  readonly version: number
  readonly swap?: SwapReport
  readonly tried?: InstanceReport['tried']
  readonly canary?: CanaryReport
  readonly shadow?: ShadowReport
  /** By `STREAM/PARTITION`: the epoch at which it was claimed. */
  readonly owns: Map<string, number>
  readonly giving: readonly Giving[]
  awaited: readonly Awaited[]
  readonly epoch: number
}

export function reportOf(instance: WorldInstance, state: InstanceReport['state']): InstanceReport {
  const { id, function: name, index, version, epoch, awaited, swap, tried, canary, shadow } = instance
  const nothing = { recordsIn: 0, recordsOut: 0, errors: 0, timersFired: 0, batches: 0 }
  const usage = { stateEntries: 0, stateBytes: 0, heapBytes: 0, cpuSeconds: 0 }
  return {
    ...{ id, function: name, index, version, epoch, state, ...nothing, ...usage, outputs: [], inputs: [] },
    ...(swap && { swap }),
    ...(tried && { tried }),
    ...(canary && { canary }),
    ...(shadow && { shadow }),
    ...(awaited.length === 0 ? {} : { awaited: awaited.map(({ share }) => share) }),
  }
}

export function heartbeatOf(id: string, generation: number, sentAtMs: number): Heartbeat {
  return {
    schema: 1,
    kind: 'runner',
    id,
    incarnation: id,
    generation,
    sentAtMs,
    state: 'running',
    pid: 1,
    rssBytes: 1,
    cpuSeconds: 0,
    instances: [],
  }
}

/**
 * What an instance reports after it was assigned a version, perhaps with a canary or a shadow.
 * @param records That a canary has had in each step, and as many beside it.
 */
export function toldOf(
  { version, canary, shadow }: FunctionAssignment,
  before: WorldInstance | undefined,
  records: number,
): Pick<WorldInstance, 'swap' | 'canary' | 'shadow'> {
  const swap = swapTo(version, before)
  const known = before?.canary
  const state = known?.version === canary?.version && known?.state === 'failed' ? 'failed' : 'working'
  const side = { records, errors: 0, outputs: records, ms: records / 100, buckets: [], streams: {} }
  const evidence = { ...noEvidence(), canary: side, control: side }
  return {
    ...(swap && { swap }),
    ...(canary && { canary: { version: canary.version, step: canary.step, state, evidence } }),
    ...(shadow && { shadow: before?.shadow ?? shadowReportOf(shadow.version) }),
  }
}

function shadowReportOf(version: number): ShadowReport {
  const evidence = { ...noShadowEvidence(), records: 100, compared: 90, different: 3 }
  return { version, state: 'working', evidence: { ...evidence, missed: { ...evidence.missed, behind: 10 } } }
}

/** Makes the shadow of an instance fail. */
export function failShadow(instances: Map<string, WorldInstance>, id: string): void {
  const instance = instances.get(id)
  if (instance?.shadow === undefined) return
  instances.set(id, {
    ...instance,
    shadow: { ...instance.shadow, state: 'failed', reason: 'it was too large' },
  })
}

/** Makes the canary of an instance fail. */
export function failCanary(instances: Map<string, WorldInstance>, id: string): void {
  const instance = instances.get(id)
  if (instance?.canary === undefined) return
  instances.set(id, { ...instance, canary: { ...instance.canary, state: 'failed' } })
}

function swapTo(version: number, before: WorldInstance | undefined): SwapReport | undefined {
  if (before === undefined || before.version === version) return undefined
  return before.swap?.version === version ? before.swap : { version, state: 'preparing' }
}

/** The share of a `STREAM/PARTITION`. */
export function shareOf(key: string): number {
  return Number(key.split('/')[1])
}

/**
 * An instance that has left at an epoch does not return at the same one, and reports that (runner/host/departed.ts).
 */
export function hasLeft(runner: { departed: InstanceReport[] }, id: string, epoch: number): boolean {
  const left = runner.departed.findLast((report) => report.id === id && report.epoch >= epoch)
  if (left === undefined) return false
  const exit = { code: 0, reason: 'drained', message: 'it has left before' }
  runner.departed = [...runner.departed.filter((report) => report.id !== id), { ...left, exit }]
  return true
}
