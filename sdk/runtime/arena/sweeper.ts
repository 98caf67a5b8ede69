/**
 * Sweeper: removes entries that have expired, some chains at a time, in passes over the whole index.
 *
 * A pass finds when the next entry expires; until then, and as long as nothing expires at all, there is nothing to do.
 * What it knows is found anew by whoever opens the arena: it begins with a pass.
 * @module
 */
import type { Buckets } from './buckets.ts'
import { expiresMs, valueBytes } from './entry.ts'
import type { Formats } from './formats.ts'
import type { Heap } from './heap.ts'
import type { Journal } from './journal.ts'
import { shape } from './layout.ts'
import type { Memory } from './memory.ts'
import type { Roots } from './roots.ts'

/** Room in the journal for taking out one entry. */
const removeWords = 32
/** A pass begins this long after the one before at the soonest, so that entries which expire one by one cost little. */
const restMs = 1_000

export class Sweeper {
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #heap: Heap
  readonly #buckets: Buckets
  readonly #roots: Roots
  /** When there is something to do. */
  #nextMs = 0
  /** The next chain of the pass at hand, and the earliest expiry that it has met. */
  #chain = 0
  #earliestMs = Number.POSITIVE_INFINITY

  constructor(memory: Memory, journal: Journal, heap: Heap, buckets: Buckets, roots: Roots) {
    this.#memory = memory
    this.#journal = journal
    this.#heap = heap
    this.#buckets = buckets
    this.#roots = roots
  }

  get nextMs(): number {
    return this.#nextMs
  }

  /** Something expires at `timeMs`. */
  heed(timeMs: number): void {
    if (timeMs < this.#earliestMs) this.#earliestMs = timeMs
    if (timeMs < this.#nextMs && this.#chain === 0) this.#nextMs = timeMs
  }

  /** What was removed has come back. */
  startAnew(): void {
    this.#chain = this.#nextMs = 0
  }

  /**
   * Goes on with the pass, over `chains` chains at most. What hides older entries of its key (formats.ts) stays as long as
   * it may. @returns How many entries it has removed.
   */
  sweep(chains: number, nowMs: number, formats: Formats | undefined): number {
    const hides = formats?.hasOlder === true ? formats : undefined
    if (this.#chain === 0) this.#earliestMs = Number.POSITIVE_INFINITY
    let removed = 0
    const end = Math.min(this.#chain + chains, this.#roots.buckets)
    for (; this.#chain < end; this.#chain++) removed += this.#sweepChain(this.#chain, nowMs, hides)
    this.#nextMs = nowMs
    if (this.#chain < this.#roots.buckets) return removed
    this.#chain = 0
    this.#nextMs = Math.max(this.#earliestMs, nowMs + restMs)
    return removed
  }

  #sweepChain(chain: number, nowMs: number, hides: Formats | undefined): number {
    const memory = this.#memory
    let removed = 0
    let link = this.#buckets.headOf(chain)
    let entry = memory.load(link)
    while (entry !== 0) {
      const words = memory.words[entry >> memory.shift]!
      const at = entry & memory.mask
      const next = words[at + 1]!
      const timeMs = expiresMs(words, at)
      const stays = timeMs > nowMs || hides?.isOwn(words[at + 3]!) === true
      if (!stays && this.#heap.reserve(removeWords)) {
        this.#journal.note(link)
        memory.store(link, next)
        countRemoved(this.#roots, words, at)
        this.#heap.discard(entry)
        removed++
      } else {
        if (timeMs < this.#earliestMs) this.#earliestMs = timeMs
        link = entry + 1
      }
      entry = next
    }
    return removed
  }
}

/** An entry is taken out of the index. */
export function countRemoved(roots: Roots, words: Int32Array, at: number): void {
  const form = words[at + 3]!
  roots.entries--
  roots.bytes -= (form & shape.keyBytes) + valueBytes(words, at)
  if ((form & shape.expires) !== 0) roots.expiring--
}
