/**
 * LookAhead: tells the state of a partition the keys of the next records, a few at a time, before the first of them
 * is processed. The memory that each lookup will need is then fetched into the caches for all of them at once. Most
 * functions use state under the record's key.
 * @module
 */
import { recordBytes, recordHeaderBytes } from '../../wire/frame.ts'
import { murmur3Words } from '../../wire/hash.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import { Words } from '../realm/primordials.ts'
import type { Input } from '../records/record.ts'

const recordsAhead = 16
const recordHeaderWords = recordHeaderBytes >> 2

export class LookAhead {
  readonly #input: Input
  readonly #hashes = new Words(recordsAhead)
  /** The number of records until the next look. */
  #left = 0

  constructor(input: Input) {
    this.#input = input
  }

  /** Called before a record is processed: the first of `records` records from `at` on. */
  look(state: KeyedState | undefined, at: number, records: number): void {
    if (state === undefined || --this.#left > 0) return
    const { words } = this.#input
    const count = records < recordsAhead ? records : recordsAhead
    this.#left = count
    const hashes = this.#hashes
    for (let i = 0; i < count; i++) {
      const word = at >> 2
      const keyBytes = words[word + 1]! & 0xffff
      hashes[i] = murmur3Words(words, word + recordHeaderWords, keyBytes)
      at += recordBytes(keyBytes, words[word]!)
    }
    state.expect(hashes, count)
  }

  /** The records that were looked at will not come next. */
  forget(): void {
    this.#left = 0
  }
}
