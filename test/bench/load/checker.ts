/**
 * Checker: sees the number of every record, and tells what was lost, repeated and reordered.
 *
 * The records of one source (a load producer's share of a partition) are numbered from 0.
 *
 *   C1. A number is counted once as received; what comes again is repeated.
 *   C2. A number that comes after a greater one of its source is reordered.
 *   C3. What was planned and has not come is lost.
 * @module
 */
import type { Checks } from '../suite/benchmark.ts'

/** A gap longer than this is no loss but a number that nobody has written. */
const gapMax = 10_000_000

export class Checker {
  /** Received, each once. */
  received = 0
  #repeated = 0
  #reordered = 0
  readonly #next: Float64Array
  /** By source, the numbers that were jumped over. */
  readonly #missing: Set<number>[]

  constructor(sources: number) {
    this.#next = new Float64Array(sources)
    this.#missing = Array.from({ length: sources }, () => new Set<number>())
  }

  see(source: number, number: number): void {
    if (number !== this.#next[source]) return this.#seeOutOfTurn(source, number)
    this.#next[source] = number + 1
    this.received += 1
  }

  #seeOutOfTurn(source: number, number: number): void {
    const expected = this.#next[source]
    if (expected === undefined || number - expected > gapMax)
      throw new RangeError(`Record ${number} of source ${source} was never sent`)
    const missing = this.#missing[source]!
    if (number < expected) {
      if (!missing.delete(number)) {
        this.#repeated += 1
        return
      }
      this.#reordered += 1
    } else {
      for (let skipped = expected; skipped < number; skipped++) missing.add(skipped)
      this.#next[source] = number + 1
    }
    this.received += 1
  }

  /** @param planned How many records were sent, of all sources. */
  checks(planned: number): Checks {
    return { lost: planned - this.received, repeated: this.#repeated, reordered: this.#reordered }
  }
}
