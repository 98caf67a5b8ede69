/**
 * Random: the only source of random numbers of a part of the simulation: the same seed gives the same run.
 * @module
 */
import { nextRandom } from '../../scheduler/backoff.ts'

export class Random {
  #seed: number

  constructor(seed: number) {
    this.#seed = seed >>> 0
  }

  /** Uniform in [0, 1). */
  next(): number {
    const [value, seed] = nextRandom(this.#seed)
    this.#seed = seed
    return value
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** Mostly short, now and then long: what networks and disks do. */
  delayMs(mostMs: number): number {
    return 1 + Math.floor(this.next() ** 3 * mostMs)
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)]
  }
}
