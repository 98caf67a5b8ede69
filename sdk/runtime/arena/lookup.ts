/**
 * Lookup: where the last looked-up key has its entry, so that a callback that gets and sets a key looks it up once.
 *
 *   LU1. `entry` is 0 or the entry found, and `link` the position of the word that points to it. An exception is an
 *        entry of an older format that was read (format-keeper.ts): every change looks it up again.
 * @module
 */

import type { Data } from '../../function.ts'
import { keyBytesMax } from '../../wire/frame.ts'
import { murmur3Words } from '../../wire/hash.ts'
import { type Buckets, spread } from './buckets.ts'
import { hasKey, hasKeyBytes, hasKeyText, isTagged, type Part, partBytes } from './entry.ts'
import { shape } from './layout.ts'
import type { Memory } from './memory.ts'
import { Staging } from './staging.ts'

/** The key looked up last, in any arena. */
const stagedKey = new Staging()

export class Lookup {
  readonly #memory: Memory
  readonly #buckets: Buckets
  entry = 0
  link = 0
  /** The hash and the shape of the key looked up last, if it had no entry. */
  hash = 0
  form = 0
  /** The bits of the format that is searched (formats.ts). */
  format = 0

  constructor(memory: Memory, buckets: Buckets) {
    this.#memory = memory
    this.#buckets = buckets
  }

  /** The key looked up last, if it had no entry, and its length. */
  get words(): Int32Array {
    return stagedKey.words
  }

  get keyBytes(): number {
    return stagedKey.length
  }

  /** @throws {CodedError} ERR_ARGUMENT or ERR_STATE_TOO_LARGE */
  look(attempted: string, key: Data, part: Part | undefined): void {
    if (part === undefined) {
      if (this.entry !== 0 && this.#isLast(key)) return
      stagedKey.put(attempted, 'key', key, keyBytesMax)
    } else {
      stagedKey.put(attempted, 'key', key, keyBytesMax - partBytes)
      stagedKey.extend(part)
    }
    const keyForm =
      part === undefined
        ? stagedKey.length | this.format
        : stagedKey.length | shape.part | (isTagged(part.kind) ? this.format : 0)
    const keyWords = stagedKey.words
    const hash = spread(murmur3Words(keyWords, 0, stagedKey.length))
    const { shift, mask, words: slabs } = this.#memory
    let link = this.#buckets.linkOf(hash)
    let entry = this.#memory.load(link)
    while (entry !== 0) {
      const words = slabs[entry >> shift]!
      const at = entry & mask
      if (words[at + 2] === hash && hasKey(words, at, keyWords, keyForm)) break
      link = entry + 1
      entry = words[at + 1]!
    }
    this.entry = entry
    this.link = link
    this.hash = hash
    this.form = keyForm
  }

  #isLast(key: Data): boolean {
    const words = this.#memory.words[this.entry >> this.#memory.shift]!
    const at = this.entry & this.#memory.mask
    return typeof key === 'string'
      ? hasKeyText(words, at, key, this.format)
      : hasKeyBytes(words, at, key, this.format)
  }
}
