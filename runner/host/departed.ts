/**
 * Departed: the last reports of instances that have left. Heartbeats repeat them, so that their accounts arrive even
 * if a heartbeat is lost.
 *
 *   DP1. The report of a failed instance stays until the scheduler has sent an assignment without it; others stay for
 *        some seconds.
 *   DP2. An instance that has left at an epoch does not return at it. A new leader that does not know this is told,
 *        as it would be of a failure, and assigns another epoch.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import { exitCodes } from '../../infra/control/messages/exit-codes.ts'
import type { InstanceReport } from '../../infra/control/messages/heartbeat.ts'

/** As long as the scheduler keeps an account open. */
const keepMs = 5_000

interface Kept {
  readonly report: InstanceReport
  /** Since when it may be forgotten; undefined for a failed instance that the scheduler has not heard of yet. */
  sinceMs: number | undefined
}

export class Departed {
  readonly #clock: Clock
  #kept: Kept[] = []
  /** The epoch at which an instance last left. */
  readonly #left = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(report: InstanceReport): void {
    const sinceMs = report.exit === undefined ? this.#clock.monotonicMs() : undefined
    this.#kept.push({ report, sinceMs })
    this.#left.set(report.id, report.epoch)
  }

  /** Refuses an instance that has left at this epoch (DP2). @returns Whether it is refused. */
  refuses(instance: InstanceAssignment, version: number): boolean {
    const { id, epoch } = instance
    if (epoch > (this.#left.get(id) ?? -1)) return false
    const last = this.#kept.findLast(({ report }) => report.id === id)?.report ?? neverRan(instance, version)
    this.#kept = this.#kept.filter(({ report }) => report !== last)
    const exit = {
      code: exitCodes.drained,
      reason: 'drained',
      message: `${id} has left at epoch ${epoch} before`,
    }
    this.add({ ...last, exit })
    return true
  }

  /** Whether a failure of the instance is still remembered: until then it is not started again. */
  hasFailed(id: string): boolean {
    return this.#kept.some(({ report, sinceMs }) => report.id === id && sinceMs === undefined)
  }

  /** Forgets the failures that the scheduler has heard. */
  forget(heard: (id: string) => boolean): void {
    for (const kept of this.#kept)
      if (kept.sinceMs === undefined && heard(kept.report.id)) kept.sinceMs = this.#clock.monotonicMs()
  }

  reports(): InstanceReport[] {
    const beforeMs = this.#clock.monotonicMs() - keepMs
    this.#kept = this.#kept.filter(({ sinceMs }) => sinceMs === undefined || sinceMs > beforeMs)
    return this.#kept.map(({ report }) => report)
  }
}

/** The report of an instance that ended before it could make one. */
export function neverRan(
  { id, function: name, index, epoch }: InstanceAssignment,
  version: number,
): InstanceReport {
  const counts = { recordsIn: 0, recordsOut: 0, errors: 0, timersFired: 0, batches: 0 }
  const usage = { stateEntries: 0, stateBytes: 0, heapBytes: 0, cpuSeconds: 0 }
  return {
    id,
    function: name,
    index,
    epoch,
    version,
    state: 'failed',
    ...counts,
    ...usage,
    outputs: [],
    inputs: [],
  }
}
