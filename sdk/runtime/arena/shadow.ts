/**
 * Shadow: a log of pages as they were at the cut. The isolate writes a page before it changes it; the host reads it.
 *
 * Word 0 is the number of rows; word 1 is not 0 if a page found no room. Then follow the rows: the arena, the page's
 * number, its words. Rows below the number are final. The host sets the number to 0 at each cut, when nobody writes.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { lengthOf, storeWord } from '../realm/primordials.ts'
import { Words } from './memory.ts'
import { type PageKeeper, pageWords } from './pages.ts'

const headWords = 4
const rowWords = 2 + pageWords
const countAt = 0
const overflowAt = 1

/** The bytes of a shadow for `pages` pages. */
export function shadowBytes(pages: number): number {
  return 4 * (headWords + Math.ceil(pages) * rowWords)
}

/** The bytes of a shadow that its rows take, and those for so many more pages, as far as there is room. */
export function shadowBytesUsed(memory: ArrayBufferLike, more = 0): number {
  return Math.min(shadowBytes(new ShadowReader(memory).count + more), memory.byteLength)
}

/** The writer's end. */
export class Shadow {
  readonly #words: Int32Array
  readonly #capacity: number

  constructor(memory: ArrayBufferLike) {
    this.#words = new Words(memory)
    this.#capacity = capacityOf(lengthOf(this.#words))
  }

  /** Keeps pages of the arena of partition `owner`. */
  of(owner: number): PageKeeper {
    return { keep: (page, words, at) => this.keep(owner, page, words, at) }
  }

  /** Keeps a page of the arena of partition `owner`, which starts at index `from` of `source`. */
  keep(owner: number, page: number, source: Int32Array, from: number): void {
    const words = this.#words
    const count = words[countAt]!
    if (count >= this.#capacity) {
      storeWord(words, overflowAt, 1)
      return
    }
    const at = headWords + count * rowWords
    words[at] = owner
    words[at + 1] = page
    for (let i = 0; i < pageWords; i++) words[at + 2 + i] = source[from + i]!
    storeWord(words, countAt, count + 1)
  }
}

/** The host's end. It trusts nothing: rows with impossible numbers are left out. */
export class ShadowReader {
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #capacity: number

  constructor(memory: ArrayBufferLike) {
    this.#words = new Int32Array(memory)
    this.#bytes = new Uint8Array(memory)
    this.#capacity = capacityOf(this.#words.length)
  }

  /** Only when nobody writes. */
  clear(): void {
    Atomics.store(this.#words, countAt, 0)
    Atomics.store(this.#words, overflowAt, 0)
  }

  get overflown(): boolean {
    return Atomics.load(this.#words, overflowAt) !== 0
  }

  get count(): number {
    return Math.min(Math.max(0, Atomics.load(this.#words, countAt)), this.#capacity)
  }

  owner(row: number): number {
    return this.#words[headWords + row * rowWords]!
  }

  page(row: number): number {
    return this.#words[headWords + row * rowWords + 1]!
  }

  /** The bytes of the page in a row. */
  bytes(row: number): Uint8Array {
    const at = 4 * (headWords + row * rowWords + 2)
    return this.#bytes.subarray(at, at + 4 * pageWords)
  }
}

function capacityOf(words: number): number {
  return words < headWords ? 0 : ((words - headWords) / rowWords) | 0
}
