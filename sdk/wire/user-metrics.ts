/**
 * UserMetrics: the metrics that functions keep with `ctx.metrics`: how they are summed, reported and shown.
 *
 *   UM1. An instance has at most `metricsMax` names, and a name keeps its kind.
 *   UM2. The report of an observed value has a fixed size: count, sum, least, greatest, and the buckets of `bounds`.
 * @module
 */

export type MetricKind = 'count' | 'observe'

export const metricsMax = 64
export const metricNamePattern = /^[A-Za-z][A-Za-z0-9_.-]{0,61}$/

/**
 * Inclusive upper ends of the buckets, as in Prometheus: 1, 2 and 5 of each power of ten. The last bucket has no end.
 */
export const bounds: readonly number[] = Array.from({ length: 39 }, (_, i) =>
  Number(`${[1, 2, 5][i % 3]}e${Math.floor(i / 3) - 4}`),
)

/** A metric of one instance, since its start. */
export type MetricReport =
  | { readonly name: string; readonly kind: 'count'; readonly sum: number }
  | ({ readonly name: string; readonly kind: 'observe' } & Observed)

export interface Observed {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
  /** The buckets with values: the index in `bounds` (their number for the last bucket), and the count. */
  readonly buckets: readonly (readonly [number, number])[]
}

interface Sum {
  readonly kind: MetricKind
  count: number
  sum: number
  min: number
  max: number
  readonly buckets: Float64Array
}

/** Sums by name. */
export class MetricSums {
  readonly #sums = new Map<string, Sum>()
  readonly sinceMs: number

  /** @param sinceMs When counting begins. */
  constructor(sinceMs = 0) {
    this.sinceMs = sinceMs
  }

  /**
   * Adds to a count, or observes a value, `times` times. A name that had another kind starts again: new code may use
   * it for something else.
   */
  add(name: string, kind: MetricKind, value: number, times = 1): void {
    const sum = this.#sumOf(name, kind)
    sum.count += times
    sum.sum += value * times
    if (kind === 'count') return
    if (value < sum.min) sum.min = value
    if (value > sum.max) sum.max = value
    const bucket = bucketOf(value)
    sum.buckets[bucket] = sum.buckets[bucket]! + times
  }

  /** Adds the sums of another. */
  merge(reports: readonly MetricReport[]): void {
    for (const report of reports) {
      const sum = this.#sumOf(report.name, report.kind)
      sum.sum += report.sum
      if (report.kind === 'count') continue
      sum.count += report.count
      sum.min = Math.min(sum.min, report.min)
      sum.max = Math.max(sum.max, report.max)
      for (const [bucket, count] of report.buckets) {
        if (bucket <= bounds.length) sum.buckets[bucket] = sum.buckets[bucket]! + count
      }
    }
  }

  /** By name. */
  reports(): MetricReport[] {
    return [...this.#sums]
      .map(([name, { kind, count, sum, min, max, buckets }]): MetricReport => {
        if (kind === 'count') return { name, kind, sum: finite(sum) }
        const filled = [...buckets.entries()].filter(([, values]) => values > 0)
        return { name, kind, count, sum: finite(sum), min, max, buckets: filled }
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #sumOf(name: string, kind: MetricKind): Sum {
    const found = this.#sums.get(name)
    if (found?.kind === kind) return found
    if (found === undefined && this.#sums.size >= metricsMax)
      this.#sums.delete(this.#sums.keys().next().value!)
    const buckets = new Float64Array(kind === 'observe' ? bounds.length + 1 : 0)
    const sum = {
      kind,
      count: 0,
      sum: 0,
      min: Number.POSITIVE_INFINITY,
      max: Number.NEGATIVE_INFINITY,
      buckets,
    }
    this.#sums.set(name, sum)
    return sum
  }
}

/** Keeps sums finite: JSON has no infinity. */
function finite(sum: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, sum))
}

/** The first bucket whose end is not below the value. */
function bucketOf(value: number): number {
  let from = 0
  let to = bounds.length
  while (from < to) {
    const middle = (from + to) >> 1
    if (bounds[middle]! < value) from = middle + 1
    else to = middle
  }
  return from
}

/**
 * The value that a share of the observed values does not exceed: the end of its bucket, bounded by least and
 * greatest.
 */
export function quantileOf({ count, min, max, buckets }: Observed, share: number): number {
  let left = Math.ceil(count * share)
  for (const [bucket, values] of buckets) {
    left -= values
    if (left <= 0) return Math.max(min, Math.min(max, bounds[bucket] ?? max))
  }
  return max
}
