/**
 * Departed: the last reports of instances that have left, as heartbeats go on to carry them, so that their accounts are
 * heard even if a heartbeat is lost.
 *
 *   DP1. One that has failed stays until the scheduler has sent an assignment without it; others for some seconds.
 * @module
 */
import type { Clock } from '../infra/clock.ts'
import type { InstanceAssignment, InstanceReport } from '../infra/control/messages.ts'

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

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(report: InstanceReport): void {
    const sinceMs = report.exit === undefined ? this.#clock.monotonicMs() : undefined
    this.#kept.push({ report, sinceMs })
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
