/**
 * Tenures: whose the effects of one layer of a channel were, in the order seen.
 *
 *   TE1. Whatever the order of the records, a question about one of them is a binary search: each list holds, in ascending order, the
 *        tenures that can be an answer.
 * @module
 */
import { firstIndex } from './intervals.ts'

/** Effects of one owner in one epoch, without those of another between them. */
export interface Tenure {
  readonly owner: string
  readonly epoch: number
  /** Its first record, and one past its highest. */
  readonly first: number
  end: number
}

export class Tenures {
  readonly #all: Tenure[] = []
  /** Those whose first record is below that of each later tenure. */
  readonly #starts: Tenure[] = []
  /** Those that reach beyond each earlier tenure. */
  readonly #reaches: Tenure[] = []

  get last(): Tenure | undefined {
    return this.#all.at(-1)
  }

  [Symbol.iterator](): Iterator<Tenure> {
    return this.#all.values()
  }

  /** Effects on the records [from, to). */
  add(owner: string, epoch: number, from: number, to: number): void {
    const { last } = this
    if (last?.owner === owner && last.epoch === epoch) last.end = Math.max(last.end, to)
    else this.#begin({ owner, epoch, first: from, end: to })
    if (this.last!.end > (this.#reaches.at(-1)?.end ?? 0)) this.#reaches.push(this.last!)
  }

  /** The last one that began at or before a record. */
  lastFrom(record: number): Tenure | undefined {
    return this.#starts[firstIndex(this.#starts, ({ first }) => first > record) - 1]
  }

  /** The first one that reaches beyond. */
  firstBeyond(end: number): Tenure | undefined {
    return this.#reaches[firstIndex(this.#reaches, (tenure) => tenure.end > end)]
  }

  #begin(tenure: Tenure): void {
    while (this.#starts.length > 0 && this.#starts.at(-1)!.first >= tenure.first) this.#starts.pop()
    this.#starts.push(tenure)
    this.#all.push(tenure)
  }
}
