/**
 * Departed: the last reports of instances that have left, as heartbeats go on to carry them, so that their accounts are
 * heard even if a heartbeat is lost.
 *
 *   DP1. One that has failed stays until the scheduler has sent an assignment without it; others for some seconds.
 *   DP2. Who has left at an epoch does not come back at it: a new leader that does not know that it has left is told so, as
 *        of one that has failed, and gives it another.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { exitCodes, type InstanceAssignment, type InstanceReport } from '../../infra/control/messages.ts'

/** As long as the scheduler keeps an account open. */
const keepMs = 5_000

interface Kept {
  readonly report: InstanceReport
  /** Since when it need not be kept; undefined for one that has failed. */
  sinceMs: number | undefined
}

export class Departed {
  readonly #clock: Clock
  #kept: Kept[] = []
  /** At which epoch an instance has left last. */
  readonly #left = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(report: InstanceReport): void {
    const sinceMs = report.exit === undefined ? this.#clock.monotonicMs() : undefined
    this.#kept.push({ report, sinceMs })
    this.#left.set(report.id, report.epoch)
  }

  /** DP2. @returns Whether it is refused. */
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

  /** True until the failure is forgotten: it is not started again before. */
  hasFailed(id: string): boolean {
    return this.#kept.some(({ report, sinceMs }) => report.id === id && sinceMs === undefined)
  }

  /** The scheduler has heard of the failures of those. */
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

/** The report of an instance that never got as far as to have one. */
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
