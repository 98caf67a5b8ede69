/**
 * Latencies: a histogram of whole milliseconds. It is exact to 1 ms, of fixed size, and adds in a nanosecond.
 * @module
 */

const mostMs = 600_000

export class Latencies {
  readonly #counts = new Uint32Array(mostMs + 1)
  #total = 0

  add(ms: number): void {
    this.#counts[Math.min(mostMs, Math.max(0, Math.round(ms)))]!++
    this.#total++
  }

  /** The smallest latency that at least `share` of all do not exceed; 0 if there are none. */
  quantile(share: number): number {
    let left = Math.ceil(share * this.#total)
    if (left === 0) return 0
    for (let ms = 0; ; ms++) {
      left -= this.#counts[ms]!
      if (left <= 0) return ms
    }
  }
}
