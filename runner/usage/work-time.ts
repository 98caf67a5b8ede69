/**
 * WorkTime: what an instance spends its time on. From this the autoscaler estimates how many records it could process.
 *
 *   WT1. Each moment is idle (there is no input), blocked (its outputs have no credit, or its dead letters no answer), or busy: all
 *        the rest, also waits of an asynchronous callback and waits for `limits.cpuMsPerSecond`.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { WorkReport } from '../../infra/control/messages/heartbeat.ts'
import { MetricSums } from '../../sdk/wire/user-metrics.ts'

export type WaitsFor = 'input' | 'credit' | 'time'

export class WorkTime {
  readonly #clock: Clock
  readonly #sinceMs: number
  #idleMs = 0
  #blockedMs = 0
  #wait: { readonly for: WaitsFor; readonly sinceMs: number } | undefined
  #calledMs = 0
  readonly #calls = new MetricSums()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#sinceMs = clock.monotonicMs()
  }

  /** The instance waits, until `went`. */
  waits(what: WaitsFor): void {
    this.#wait = { for: what, sinceMs: this.#clock.monotonicMs() }
  }

  went(): void {
    const { idleMs, blockedMs } = this.#sums()
    this.#idleMs = idleMs
    this.#blockedMs = blockedMs
    this.#wait = undefined
  }

  /** A call into the isolate begins. */
  called(): void {
    this.#calledMs = this.#clock.monotonicMs()
  }

  /** The call has ended. @returns How long it took. */
  answered(records: number): number {
    const ms = this.#clock.monotonicMs() - this.#calledMs
    if (records > 0) this.#calls.add('', 'observe', ms, records)
    return ms
  }

  report(): WorkReport {
    const elapsedMs = this.#clock.monotonicMs() - this.#sinceMs
    const [calls] = this.#calls.reports()
    if (calls?.kind !== 'observe') return { elapsedMs, ...this.#sums() }
    const { count, sum, min, max, buckets } = calls
    return { elapsedMs, ...this.#sums(), calls: { count, sum, min, max, buckets } }
  }

  #sums(): { readonly idleMs: number; readonly blockedMs: number } {
    const waitedMs = this.#wait === undefined ? 0 : this.#clock.monotonicMs() - this.#wait.sinceMs
    return {
      idleMs: this.#idleMs + (this.#wait?.for === 'input' ? waitedMs : 0),
      blockedMs: this.#blockedMs + (this.#wait?.for === 'credit' ? waitedMs : 0),
    }
  }
}
