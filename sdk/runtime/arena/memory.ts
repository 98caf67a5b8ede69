/**
 * Memory: the slabs of an arena as words, and the marks of their pages (pages.ts).
 *
 *   M1. Before a word that means something is stored, by whatever way, its page is touched: so a checkpoint gets the page
 *       as it was at the cut, and again if it has changed since. `Journal` does so for all that it images, `Heap` for the
 *       blocks that it hands out.
 *
 * Objects of this layer are reachable through `#private` fields of an Arena only, so their views of shared memory may be
 * public among themselves (primordials.ts, P1).
 * @module
 */
import { append } from '../realm/primordials.ts'
import { positionBits } from './layout.ts'
import { contentWords, firstAge, marksIn, otherAge, type PageKeeper, pageShift, pageWords } from './pages.ts'
import type { Slabs } from './slabs.ts'

/** A slab has room for an entry with the longest key, and a value. */
const slabBytesMin = 256 * 1024

const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect
const lengthOf = getOwnPropertyDescriptor(getPrototypeOf(Int32Array.prototype)!, 'length')!.get!
const { clz32 } = Math
const { exchange } = Atomics
/** Captured before the author's code runs, so that no other constructor is called later. */
export const Words: Int32ArrayConstructor = Int32Array

export class Memory {
  readonly slabs: Slabs
  /** position >> shift is its slab, position & mask its index there. */
  readonly shift: number
  readonly mask: number
  readonly words: Int32Array[] = []
  /**
   * The words of content of each slab. A view's own `length` would be looked up on a prototype that the author may
   * have changed.
   */
  readonly sizes: number[] = []
  /** All words of each slab, including the marks. */
  readonly #slabWords: number[] = []
  /** A mark for each page, by slab. */
  readonly marks: Uint8Array[] = []
  readonly #keeper: PageKeeper | undefined
  /** The age since the cut before the open transaction: `Journal.begin` reads it. */
  age = firstAge
  /** The number of slabs that positions can address. */
  readonly slabsMax: number

  /** @param keeper Keeps the pages of a checkpoint under way; without one there must be no cut. */
  constructor(slabs: Slabs, keeper?: PageKeeper) {
    this.#keeper = keeper
    const slabWords = slabs.slabBytes >>> 2
    this.slabs = slabs
    this.shift = 31 - clz32(slabWords)
    this.mask = slabWords - 1
    this.slabsMax = 2 ** (positionBits - this.shift)
    if (slabWords !== 2 ** this.shift || slabs.slabBytes < slabBytesMin)
      throw new RangeError(`slabBytes is ${slabs.slabBytes}: expected a power of two from ${slabBytesMin} on`)
  }

  /** Makes sure that slab `index` has views. */
  attach(index: number): void {
    while (this.words.length <= index) {
      const slab = this.slabs.get(this.words.length)
      const words = apply(lengthOf, new Words(slab), []) as number
      append(this.#slabWords, words)
      append(this.sizes, contentWords(words))
      append(this.marks, marksIn(slab, words))
      append(this.words, this.view(slab))
    }
  }

  /** Between transactions: forgets the slabs from `index` on, which the arena does not use. */
  detach(index: number): void {
    this.words.length = this.sizes.length = this.marks.length = this.#slabWords.length = index
  }

  /** The largest block: a full slab without its marks and sentinel. */
  get blockWordsMax(): number {
    return contentWords(this.mask + 1) - 1
  }

  /** The bytes of the first `slabs` slabs. */
  heldBytes(slabs: number): number {
    let held = 0
    for (let slab = 0; slab < slabs; slab++) held += this.#slabWords[slab]! * 4
    return held
  }

  /** The bytes of a slab with a block of `words` words, its sentinel and the marks. */
  slabBytesFor(words: number): number {
    const bytes = (words + 1) * 4
    return bytes + bytes / pageWords / 2 + 2 * pageWords
  }

  /** Called before the word at `position` changes (M1). */
  touch(position: number): void {
    const page = (position & this.mask) >> pageShift
    const slab = position >> this.shift
    if (this.marks[slab]![page] !== this.age) this.#mark(slab, page)
  }

  /** The same for `count` words from `position` on. */
  touchAll(position: number, count: number): void {
    const at = position & this.mask
    let page = at >> pageShift
    const last = (at + count - 1) >> pageShift
    const slab = position >> this.shift
    const marks = this.marks[slab]!
    const { age } = this
    do if (marks[page] !== age) this.#mark(slab, page)
    while (++page <= last)
  }

  /** Marks a page as dirty, after a pending page was kept. The host sees both in this order. */
  #mark(slab: number, page: number): void {
    const marks = this.marks[slab]!
    if (marks[page] === otherAge(this.age))
      this.#keeper?.keep((slab << (this.shift - pageShift)) | page, this.words[slab]!, page << pageShift)
    exchange(marks, page, this.age)
  }

  /** Tests replace it to observe each store. */
  protected view(slab: ArrayBufferLike): Int32Array {
    return new Words(slab)
  }

  load(position: number): number {
    return this.words[position >> this.shift]![position & this.mask]!
  }

  store(position: number, value: number): void {
    this.words[position >> this.shift]![position & this.mask] = value
  }
}
