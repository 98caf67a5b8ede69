/**
 * What the runners of the simulation say of themselves. Test equipment.
 * @module
 */
import type { Awaited, Giving, Heartbeat, InstanceReport, SwapReport } from '../../infra/control/messages.ts'

export interface WorldInstance {
  readonly id: string
  readonly function: string
  readonly index: number
  readonly version: number
  readonly swap?: SwapReport
  /** By `STREAM/PARTITION`: the epoch at which it was claimed. */
  readonly owns: Map<string, number>
  readonly giving: readonly Giving[]
  awaited: readonly Awaited[]
  readonly epoch: number
}

export function reportOf(instance: WorldInstance, state: InstanceReport['state']): InstanceReport {
  const { id, function: name, index, version, epoch, awaited, swap } = instance
  const nothing = { recordsIn: 0, recordsOut: 0, errors: 0, timersFired: 0, batches: 0 }
  const usage = { stateEntries: 0, stateBytes: 0, heapBytes: 0, cpuSeconds: 0 }
  return {
    ...{ id, function: name, index, version, epoch, state, ...nothing, ...usage, outputs: [], inputs: [] },
    ...(swap && { swap }),
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

/** What an instance reports that has been told to be of a version. */
export function swapTo(version: number, before: WorldInstance | undefined): SwapReport | undefined {
  if (before === undefined || before.version === version) return undefined
  return before.swap?.version === version ? before.swap : { version, state: 'preparing' }
}
