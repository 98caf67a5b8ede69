/**
 * Gaps: how long a partition was silent when its outputs began to come from another producer: the price of a move.
 * @module
 */
interface Last {
  readonly producer: string
  /** How many producers there were before. */
  readonly tenure: number
  readonly atMs: number
}

export class Gaps {
  readonly #last = new Map<number, Last>()
  readonly #movesMs: number[] = []
  readonly #longestMs = new Map<string, number>()

  /** An output of `producer` has come. */
  saw(partition: number, producer: string, atMs: number): void {
    const last = this.#last.get(partition)
    if (last !== undefined && last.producer !== producer) {
      const ms = atMs - last.atMs
      this.#movesMs.push(ms)
      this.#longestMs.set(producer, Math.max(ms, this.#longestMs.get(producer) ?? 0))
    }
    this.#last.set(partition, { producer, tenure: this.tenure(partition, producer), atMs })
  }

  /** The number of the time that a producer has a partition. */
  tenure(partition: number, producer: string): number {
    const last = this.#last.get(partition)
    if (last === undefined) return 1
    return last.producer === producer ? last.tenure : last.tenure + 1
  }

  ofMoves(): readonly number[] {
    return this.#movesMs
  }

  /** Of each producer that took over: the longest of its partitions. */
  ofOwners(): readonly number[] {
    return [...this.#longestMs.values()]
  }
}
