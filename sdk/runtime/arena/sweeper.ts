/**
 * Sweeper: removes expired entries, some chains at a time, in passes over the whole index.
 *
 * A pass finds when the next entry expires; until then, or if no entry expires, there is nothing to do. This
 * knowledge is not stored: whoever opens the arena starts with a pass.
 *
 *   SW1. During a pass each new entry that expires owes `chainsEach` chains. So a pass ends after half as many new entries as
 *        there are. However fast they come, about a quarter of all has expired, and what came while the sweeper rested.
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

/** Two chains an entry: with two, what has expired would double the index for ever; with eight, half as much waits. */
const chainsEach = 4
/** Journal words for removing one entry. */
const removeWords = 32
/** The least time from the end of a pass to the next one, so that entries which expire one by one cost little. */
const restMs = 1_000

export class Sweeper {
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #heap: Heap
  readonly #buckets: Buckets
  readonly #roots: Roots
  /** When there is something to do. */
  #nextMs = 0
  /** The next chain of the current pass, and the earliest expiry that it has found. */
  #chain = 0
  #earliestMs = Number.POSITIVE_INFINITY
  /** How many chains new entries have added to the current pass (SW1). */
  owed = 0

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

  /** Notes that something expires at `timeMs`. @param isNew It is a new entry. */
  heed(timeMs: number, isNew: boolean): void {
    if (isNew && this.#chain > 0) this.owed += chainsEach
    if (timeMs < this.#earliestMs) this.#earliestMs = timeMs
    if (timeMs < this.#nextMs && this.#chain === 0) this.#nextMs = timeMs
  }

  /** Removed entries have come back, by an undo. */
  startAnew(): void {
    this.#chain = this.#nextMs = this.owed = 0
  }

  /**
   * Continues the pass, over at most `chains` chains. An entry that hides older entries of its key (formats.ts) stays
   * as long as it has to.
   * @returns How many entries it has removed.
   */
  sweep(chains: number, nowMs: number, formats: Formats | undefined): number {
    const hides = formats?.hasOlder === true ? formats : undefined
    if (this.#chain === 0) this.#earliestMs = Number.POSITIVE_INFINITY
    let removed = 0
    this.owed = Math.max(0, this.owed - chains)
    const end = Math.min(this.#chain + chains, this.#roots.buckets)
    for (; this.#chain < end; this.#chain++) removed += this.#sweepChain(this.#chain, nowMs, hides)
    this.#nextMs = nowMs
    if (this.#chain < this.#roots.buckets) return removed
    this.#chain = this.owed = 0
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

/** Called when an entry is removed from the index. */
export function countRemoved(roots: Roots, words: Int32Array, at: number): void {
  const form = words[at + 3]!
  roots.entries--
  roots.bytes -= (form & shape.keyBytes) + valueBytes(words, at)
  if ((form & shape.expires) !== 0) roots.expiring--
}
