/**
 * LatencyMeter: how long records took, from the moment when they were due to be sent, whenever that really happened.
 *
 * A load that waits for whoever is slow, and counts from when it got round to sending, leaves out the very records that
 * waited (coordinated omission). So each record carries its due time, and lateness of the load counts as well.
 * @module
 */
import { build, type Histogram } from 'hdr-histogram-js'

export interface Percentiles {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
}

export class LatencyMeter {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600_000_000,
    numberOfSignificantValueDigits: 3,
  })
  #toSkip: number

  /** @param warmUpRecords Not counted: code that is still cold. */
  constructor(warmUpRecords: number) {
    this.#toSkip = warmUpRecords
  }

  record(dueUs: number, arrivedUs: number): void {
    if (this.#toSkip > 0) this.#toSkip -= 1
    else this.#histogram.recordValue(Math.max(1, Math.round(arrivedUs - dueUs)))
  }

  percentiles(): Percentiles {
    const ms = (percentile: number): number => this.#histogram.getValueAtPercentile(percentile) / 1000
    return { p50Ms: ms(50), p99Ms: ms(99), p999Ms: ms(99.9) }
  }
}
