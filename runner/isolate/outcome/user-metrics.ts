/**
 * UserMetrics: sums up what an isolate has counted and observed (`ctx.metrics`), by names that it left in shared memory.
 * @module
 */
import { readMetricName } from '../../../sdk/runtime/index.ts'
import type { MetricKind, MetricSums } from '../../../sdk/wire/user-metrics.ts'

interface Named {
  readonly name: string
  readonly kind: MetricKind
}

export class UserMetrics {
  readonly #sums: MetricSums
  readonly #region: Uint8Array
  /** Names as they were at their first use: the isolate could change them later. */
  readonly #names: (Named | undefined)[] = []

  constructor(sums: MetricSums, region: Uint8Array) {
    this.#sums = sums
    this.#region = region
  }

  /** Adds the metrics of a log. @throws {Error} If an entry is impossible. */
  take(metrics: readonly number[]): void {
    for (let i = 0; i < metrics.length; i += 2) {
      const id = metrics[i]!
      const value = metrics[i + 1]!
      const named = this.nameOf(id)
      if (named === undefined || !Number.isFinite(value) || (named.kind === 'count' && value < 0))
        throw new Error(`Cannot read what an isolate left: metric ${id} with ${value}`)
      this.#sums.add(named.name, named.kind, value)
    }
  }

  nameOf(id: number): Named | undefined {
    this.#names[id] ??= readMetricName(this.#region, id)
    return this.#names[id]
  }
}
