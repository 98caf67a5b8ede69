/**
 * Entries: stores the staged value under the key that was looked up last, and removes the entry that was found.
 *
 * Values of up to 1 KiB are overwritten in place, with their old words in the journal; larger ones go to a new block.
 *
 *   EN1. An operation that throws has changed nothing visible (N2 of arena.ts).
 * @module
 */
import type { Buckets } from './buckets.ts'
import {
  copyWords,
  fitsInPlace,
  keyOffset,
  valueBytes,
  valueOffset,
  valueRoom,
  wordsFor,
  writeExpiry,
} from './entry.ts'
import type { Heap } from './heap.ts'
import type { Journal } from './journal.ts'
import { entryExpiryWords, entryHeaderWords, shape } from './layout.ts'
import type { Lookup } from './lookup.ts'
import type { Memory } from './memory.ts'
import type { Roots } from './roots.ts'
import { Staging } from './staging.ts'
import { countRemoved } from './sweeper.ts'

/** Journal images that an operation needs besides those of a value's words. */
const operationWords = 32

/** The staged value; all arenas share the buffer. */
export const stagedValue = new Staging()

export interface EntriesParts {
  readonly memory: Memory
  readonly journal: Journal
  readonly heap: Heap
  readonly buckets: Buckets
  readonly roots: Roots
}

export class Entries {
  /** Whether keys are being iterated: until the end of the transaction, chains are not split. */
  isWalked = false
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #heap: Heap
  readonly #buckets: Buckets
  readonly #roots: Roots
  readonly #place: Lookup
  readonly #full: (attempted: string) => Error

  /** @param full Makes the error of an operation that finds no memory. */
  constructor(
    { memory, journal, heap, buckets, roots }: EntriesParts,
    place: Lookup,
    full: (attempted: string) => Error,
  ) {
    this.#memory = memory
    this.#journal = journal
    this.#heap = heap
    this.#buckets = buckets
    this.#roots = roots
    this.#place = place
    this.#full = full
  }

  /** @returns Whether there was no entry before. */
  store(expiresMs: number | undefined): boolean {
    const entry = this.#place.entry
    if (entry === 0) {
      this.insert(expiresMs)
      return true
    }
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    if (fitsInPlace(words, at, stagedValue.length, expiresMs)) this.#overwrite(words, at, expiresMs)
    else this.#replace(words, at, expiresMs)
    return false
  }

  delete(): void {
    if (!this.#heap.reserve(operationWords)) throw this.#full('delete state')
    this.removeFound()
  }

  #overwrite(words: Int32Array, at: number, expiresMs: number | undefined): void {
    const journal = this.#journal
    const entry = this.#place.entry
    const { length } = stagedValue
    const count = wordsFor(length)
    if (!this.#heap.reserve(count + operationWords)) throw this.#full('set state')
    const form = words[at + 3]!
    const offset = valueOffset(form)
    journal.image(entry + offset, count)
    copyWords(stagedValue.words, 0, words, at + offset, count)
    if (expiresMs !== undefined) {
      journal.image(entry + entryHeaderWords, entryExpiryWords)
      writeExpiry(words, at, expiresMs)
    }
    const before = valueBytes(words, at)
    const formNow = formOf(form & shape.key, valueRoom(words, at) - length, expiresMs)
    if (formNow === form) return
    journal.note(entry + 3)
    words[at + 3] = formNow
    this.#roots.bytes += length - before
    this.#roots.dirty = true
  }

  /** @returns Its position. */
  insert(expiresMs: number | undefined): number {
    const { words, keyBytes: length } = this.#place
    this.#put(0, this.#place.hash, words, 0, this.#place.form, expiresMs)
    this.#roots.entries++
    if (expiresMs !== undefined) this.#roots.expiring++
    this.#roots.bytes += length + stagedValue.length
    const entry = this.#place.entry
    if (!this.isWalked && this.#buckets.keepUp()) this.#place.entry = 0 // the word that links to it may be another one now
    return entry
  }

  #replace(words: Int32Array, at: number, expiresMs: number | undefined): void {
    const entry = this.#place.entry
    const form = words[at + 3]!
    const before = valueBytes(words, at)
    this.#put(words[at + 1]!, words[at + 2]!, words, at + keyOffset(form), form & shape.key, expiresMs)
    this.#heap.discard(entry)
    if ((form & shape.expires) !== 0) this.#roots.expiring--
    if (expiresMs !== undefined) this.#roots.expiring++
    this.#roots.bytes += stagedValue.length - before
  }

  /** Makes an entry with the staged key and value, in place of the one that `#link` names. */
  #put(
    next: number,
    hash: number,
    keyFrom: Int32Array,
    keyAt: number,
    keyForm: number,
    expiresMs: number | undefined,
  ): void {
    const { length } = stagedValue
    const keyWords = wordsFor(keyForm & shape.keyBytes)
    const keyTo = expiresMs === undefined ? entryHeaderWords : entryHeaderWords + entryExpiryWords
    const block = this.#heap.allocate(keyTo + keyWords + wordsFor(length))
    if (block === 0) throw this.#full('set state')
    if (!this.#heap.reserve(operationWords)) {
      this.#heap.discard(block)
      throw this.#full('set state')
    }
    const words = this.#memory.words[block >> this.#memory.shift]!
    const at = block & this.#memory.mask
    const room = ((words[at]! >>> 2) - keyTo - keyWords) * 4
    words[at + 1] = next
    words[at + 2] = hash
    words[at + 3] = formOf(keyForm, room - length, expiresMs)
    if (expiresMs !== undefined) writeExpiry(words, at, expiresMs)
    copyWords(keyFrom, keyAt, words, at + keyTo, keyWords)
    copyWords(stagedValue.words, 0, words, at + keyTo + keyWords, wordsFor(length))
    this.#journal.note(this.#place.link)
    this.#memory.store(this.#place.link, block)
    this.#place.entry = block
    this.#roots.dirty = true
  }

  removeFound(): void {
    const { entry } = this.#place
    this.#remove(this.#memory.words[entry >> this.#memory.shift]!, entry & this.#memory.mask)
    this.#heap.tidy()
  }

  /** Removes the entry looked up last; the journal has room. */
  #remove(words: Int32Array, at: number): void {
    this.#journal.note(this.#place.link)
    this.#memory.store(this.#place.link, words[at + 1]!)
    countRemoved(this.#roots, words, at)
    this.#heap.discard(this.#place.entry)
    this.#place.entry = 0
  }
}

function formOf(keyForm: number, slack: number, expiresMs: number | undefined): number {
  const ascii = stagedValue.ascii ? shape.ascii : 0
  return keyForm | (slack << shape.slackShift) | ascii | (expiresMs === undefined ? 0 : shape.expires)
}
