/**
 * OlderEntries: the entries of a key, in the same chain, in formats before the running version's.
 * @module
 */
import type { Buckets } from './buckets.ts'
import { hasKeyOfAny } from './entry.ts'
import type { Formats } from './formats.ts'
import type { Heap } from './heap.ts'
import type { Journal } from './journal.ts'
import type { Memory } from './memory.ts'
import type { Roots } from './roots.ts'
import { countRemoved } from './sweeper.ts'

/** Journal words for removing one entry. */
const removeWords = 32

/** A key to look up. */
export interface SoughtKey {
  readonly hash: number
  readonly words: Int32Array
  readonly form: number
}

export class OlderEntries {
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #heap: Heap
  readonly #buckets: Buckets
  readonly #roots: Roots

  constructor(memory: Memory, journal: Journal, heap: Heap, buckets: Buckets, roots: Roots) {
    this.#memory = memory
    this.#journal = journal
    this.#heap = heap
    this.#buckets = buckets
    this.#roots = roots
  }

  /** The position of the newest visible entry; 0 if there is none. */
  newestOf({ hash, words: keyWords, form: keyForm }: SoughtKey, formats: Formats): number {
    const { shift, mask, words: slabs } = this.#memory
    let found = 0
    let rank = -1
    let entry = this.#memory.load(this.#buckets.linkOf(hash))
    while (entry !== 0) {
      const words = slabs[entry >> shift]!
      const at = entry & mask
      if (words[at + 2] === hash && hasKeyOfAny(words, at, keyWords, keyForm)) {
        const its = formats.rankOf(words[at + 3]!)
        if (its > rank) {
          rank = its
          found = entry
        }
      }
      entry = words[at + 1]!
    }
    return found
  }

  /**
   * Removes all visible entries, as far as the journal has room. The rest is hidden by the own entry, and tidied
   * later.
   */
  removeOf({ hash, words: keyWords, form: keyForm }: SoughtKey, formats: Formats): void {
    const isOlder = (words: Int32Array, at: number): boolean =>
      words[at + 2] === hash &&
      formats.rankOf(words[at + 3]!) >= 0 &&
      hasKeyOfAny(words, at, keyWords, keyForm)
    this.removeWhere(this.#buckets.linkOf(hash), isOlder)
  }

  /** Removes entries of the chain at `link`. @returns False if the journal had no room for all of them. */
  removeWhere(link: number, isMeant: (words: Int32Array, at: number) => boolean): boolean {
    const memory = this.#memory
    let entry = memory.load(link)
    while (entry !== 0) {
      const words = memory.words[entry >> memory.shift]!
      const at = entry & memory.mask
      const next = words[at + 1]!
      if (!isMeant(words, at)) link = entry + 1
      else {
        if (!this.#heap.reserve(removeWords)) return false
        this.#journal.note(link)
        memory.store(link, next)
        countRemoved(this.#roots, words, at)
        this.#heap.discard(entry)
      }
      entry = next
    }
    return true
  }
}
