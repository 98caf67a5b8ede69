/**
 * Gaps: how long a partition was silent when its outputs began to come from another producer: the price of a move. And how long it is
 * silent between two outputs of one, which is in that price.
 * @module
 */
interface Last {
  readonly producer: string
  readonly atMs: number
}

export interface Gap {
  readonly ms: number
  /** For how long who has taken over had put out anything, then. */
  readonly ageMs: number
}

/** Silences are counted by this much. */
const stepMs = 0.1

export class Gaps {
  readonly #last = new Map<number, Last>()
  readonly #moves: Gap[] = []
  readonly #firstMs = new Map<string, number>()
  readonly #longestMs = new Map<string, number>()
  readonly #steady = new Map<number, number>()

  /** An output of `producer` has come. */
  saw(partition: number, producer: string, atMs: number): void {
    const last = this.#last.get(partition)
    const firstMs = this.#firstMs.get(producer) ?? atMs
    if (firstMs === atMs) this.#firstMs.set(producer, atMs)
    const ms = atMs - (last?.atMs ?? atMs)
    if (last !== undefined && last.producer !== producer) {
      this.#moves.push({ ms, ageMs: atMs - firstMs })
      this.#longestMs.set(producer, Math.max(ms, this.#longestMs.get(producer) ?? 0))
    } else if (ms > 0) {
      const step = Math.floor(ms / stepMs)
      this.#steady.set(step, (this.#steady.get(step) ?? 0) + 1)
    }
    this.#last.set(partition, { producer, atMs })
  }

  ofMoves(): readonly Gap[] {
    return this.#moves
  }

  /** Of each producer that took over: the longest of its partitions. */
  ofOwners(): readonly number[] {
    return [...this.#longestMs.values()]
  }

  /** Between two outputs of a partition that stayed where it was: so much at most, of this part of them. */
  steadyMs(share: number): number {
    const steps = [...this.#steady].sort(([a], [b]) => a - b)
    const total = steps.reduce((sum, [, count]) => sum + count, 0)
    let seen = 0
    for (const [step, count] of steps) {
      seen += count
      if (seen >= total * share) return Number(((step + 1) * stepMs).toFixed(1))
    }
    return 0
  }
}
