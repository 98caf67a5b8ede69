/**
 * Heap: hands out blocks of words and takes them back.
 *
 * Free blocks lie in lists by size (two levels, as in TLSF: exact up to 32 words, then eight classes an octave), so a
 * block is found in a handful of steps; neighbours that are free are joined, so sizes that change over time do not leak.
 * A block that is given up is *discarded* first: chained to the others, and made free by later transactions, some at a
 * time. So deleting is one word, however large the block, and the commit of a million deletions is one as well.
 *
 *   H1. No two neighbours are free, and what lies before `top` is not.
 *   H2. Of a block discarded in a transaction nothing is changed before the commit but its tag and the word behind it,
 *       both imaged: an undo finds it as it was.
 *   H3. Nothing is imaged without `reserve` before it: what finds no room for the journal has changed nothing.
 * See: M. Masmano et al., "TLSF: a New Dynamic Memory Allocator for Real-Time Systems", 2004.
 * @module
 */
import { chunkHeadWords, type Journal } from './journal.ts'
import { freeLists, head, tag, tagOf } from './layout.ts'
import { type Memory, Words } from './memory.ts'
import type { Roots } from './roots.ts'

const { clz32 } = Math

/** A free block has a tag, two links, and its number of words at the end. */
export const blockWordsMin = 4
const chunkWords = 8192
/** Journal words kept free for the next chunk of the journal, and for the commit. */
const chunkReserveWords = 128
/** Journal words for freeing one block. */
const freeWords = 64
/** Journal words for allocating a block, or another slab. */
const takeWords = 64
/** How many blocks an allocation frees in passing, a deletion, and an allocation before it takes another slab. */
const freedEach = 4
const freedByDeletion = 2
const freedBeforeGrowing = 256

export class Heap {
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #roots: Roots
  readonly #head: Int32Array
  /** A bit for each free list that is not empty. */
  readonly #filled = new Words(freeLists / 32)
  /** The chain of blocks discarded in this transaction (H2). */
  #discardedFirst = 0
  #discardedLast = 0

  constructor(memory: Memory, journal: Journal, roots: Roots) {
    this.#memory = memory
    this.#journal = journal
    this.#roots = roots
    this.#head = memory.words[0]!
  }

  /** Forgets the transaction, or reads the arena for the first time. */
  reset(): void {
    this.#discardedFirst = this.#discardedLast = 0
    for (let i = 0; i < this.#filled.length; i++) this.#filled[i] = 0
    for (let list = 0; list < freeLists; list++) if (this.#head[head.freeLists + list] !== 0) this.#mark(list)
  }

  /**
   * Begins a transaction if none is open, with room for `words` words in the journal. @returns Whether there is room.
   */
  reserve(words: number): boolean {
    this.#journal.begin()
    if (this.#journal.fits(words + chunkReserveWords)) return true
    const least = chunkHeadWords + words + chunkReserveWords
    let size = Math.max(chunkWords, least)
    let chunk = this.#take(size)
    if (chunk === 0) {
      chunk = this.#take(least)
      if (chunk !== 0) size = least
    }
    while (chunk === 0 && this.#journal.fits(takeWords) && this.#openSlab(size)) chunk = this.#takeTop(size)
    if (chunk === 0) return false
    this.#journal.extend(chunk, size)
    this.discard(chunk) // free again at the commit, untouched until then (H2)
    return true
  }

  /**
   * Allocates a block of at least `words` words; its tag has the exact number. @returns Its position, or 0 if there
   * is no room.
   */
  allocate(words: number): number {
    const block = this.#allocate(words)
    if (block !== 0) this.#memory.touchAll(block, words)
    return block
  }

  #allocate(words: number): number {
    const same = this.#takeDiscarded(words)
    if (same !== 0) return same
    this.#free(freedEach)
    let block = this.#try(words)
    if (block === 0 && this.#free(freedBeforeGrowing) > 0) block = this.#try(words)
    while (block === 0 && this.reserve(takeWords) && this.#openSlab(words)) block = this.#takeTop(words)
    while (block === 0 && this.#free(freedBeforeGrowing) > 0) block = this.#try(words)
    return block
  }

  /** Discards a block. */
  discard(block: number): void {
    this.#journal.note(block + 1)
    this.#memory.store(block + 1, this.#discardedFirst)
    if (this.#discardedLast === 0) this.#discardedLast = block
    this.#discardedFirst = block
    this.#roots.dirty = true
  }

  /** A deletion frees as much as it discards, so that discarded blocks do not pile up. */
  tidy(): void {
    this.#free(freedByDeletion)
  }

  /** Before a commit: later transactions may free what was discarded. */
  settle(): void {
    if (this.#discardedFirst === 0) return
    this.#memory.store(this.#discardedLast + 1, this.#roots.discarded) // it was imaged when it was discarded
    this.#roots.discarded = this.#discardedFirst
    this.#discardedFirst = this.#discardedLast = 0
  }

  /** Frees up to `most` blocks that earlier transactions discarded. @returns How many it freed. */
  #free(most: number): number {
    let freed = 0
    while (freed < most && this.#roots.discarded !== 0 && this.reserve(freeWords)) {
      const block = this.#roots.discarded
      this.#roots.discarded = this.#memory.load(block + 1)
      this.#join(block)
      freed++
    }
    if (freed > 0) this.#roots.dirty = true
    return freed
  }

  /** Frees a block, and joins it with free neighbours. */
  #join(block: number): void {
    const memory = this.#memory
    this.#journal.image(block, 2)
    const mark = memory.load(block)
    let start = block
    let words = mark >>> 2
    if ((mark & tag.previousFree) !== 0) {
      const before = memory.load(block - 1)
      start -= before
      words += before
      this.#unlink(start)
    }
    const next = start + words
    if (next === this.#roots.top) {
      this.#roots.top = start
      return
    }
    const nextMark = memory.load(next)
    if ((nextMark & tag.used) === 0) {
      words += nextMark >>> 2
      this.#unlink(next)
    }
    this.#link(start, words)
  }

  /** The block that was discarded last, if it fits exactly: then nothing has to be joined or split. */
  #takeDiscarded(words: number): number {
    const block = this.#roots.discarded
    if (block === 0 || this.#memory.load(block) >>> 2 !== words || !this.reserve(takeWords)) return 0
    this.#journal.note(block + 1)
    this.#roots.discarded = this.#memory.load(block + 1)
    this.#roots.dirty = true
    return block
  }

  #try(words: number): number {
    return this.reserve(takeWords) ? this.#take(words) : 0
  }

  /** A block from the free lists, or else from the rest of the last slab; 0 if neither has one. */
  #take(words: number): number {
    const list = this.#filledList(searchClass(words))
    if (list >= 0) return this.#takeFree(this.#head[head.freeLists + list]!, words)
    return this.#takeTop(words)
  }

  #takeFree(block: number, words: number): number {
    const memory = this.#memory
    const size = memory.load(block) >>> 2
    this.#unlink(block)
    const rest = size - words
    if (rest >= blockWordsMin) {
      this.#link(block + words, rest)
      memory.store(block, tagOf(words, tag.used))
      return block
    }
    const next = block + size
    this.#journal.note(next)
    memory.store(next, memory.load(next) & ~tag.previousFree)
    memory.store(block, tagOf(size, tag.used))
    return block
  }

  /** Words after `top` have no meaning yet, so they need no image. */
  #takeTop(words: number): number {
    const block = this.#roots.top
    if (words > this.#topEnd - block) return 0
    this.#memory.touch(block)
    this.#memory.store(block, tagOf(words, tag.used))
    this.#roots.top = block + words
    this.#roots.dirty = true
    return block
  }

  /** The position of the last slab's sentinel. */
  get #topEnd(): number {
    const last = this.#roots.slabs - 1
    return last * (this.#memory.mask + 1) + this.#memory.sizes[last]! - 1
  }

  /** Continues in another slab. It may exist already, added by an interrupted transaction. */
  #openSlab(words: number): boolean {
    const memory = this.#memory
    const slab = this.#roots.slabs
    if (words > memory.blockWordsMax || slab === memory.slabsMax) return false
    if (memory.slabs.count <= slab && !memory.slabs.grow(memory.slabBytesFor(words))) return false
    memory.attach(slab)
    this.#closeSlab()
    this.#roots.slabs = slab + 1
    this.#roots.top = slab * (memory.mask + 1)
    memory.touch(this.#topEnd)
    memory.store(this.#topEnd, tagOf(1, tag.used))
    this.#roots.dirty = true
    return true
  }

  /** Turns the rest of the last slab into a free block; a rest of a few words becomes a block that nobody uses. */
  #closeSlab(): void {
    const { top } = this.#roots
    const rest = this.#topEnd - top
    if (rest >= blockWordsMin) this.#link(top, rest)
    else if (rest > 0) {
      this.#memory.touch(top)
      this.#memory.store(top, tagOf(rest, tag.used))
    }
  }

  /** Makes a free block of words that have no meaning, or are imaged, and adds it to its list. */
  #link(block: number, words: number): void {
    const memory = this.#memory
    const journal = this.#journal
    const list = sizeClass(words)
    const first = this.#head[head.freeLists + list]!
    const next = block + words
    memory.touchAll(block, 3)
    memory.touch(next - 1)
    memory.store(block, tagOf(words, 0))
    memory.store(block + 1, first)
    memory.store(block + 2, 0)
    memory.store(next - 1, words)
    journal.note(next)
    memory.store(next, memory.load(next) | tag.previousFree)
    if (first !== 0) {
      journal.note(first + 2)
      memory.store(first + 2, block)
    }
    journal.note(head.freeLists + list)
    this.#head[head.freeLists + list] = block
    this.#mark(list)
  }

  /** Removes a free block from its list, and images the words that have a meaning. */
  #unlink(block: number): void {
    const memory = this.#memory
    const journal = this.#journal
    const words = memory.load(block) >>> 2
    const next = memory.load(block + 1)
    const previous = memory.load(block + 2)
    journal.image(block, 3)
    journal.note(block + words - 1)
    if (next !== 0) {
      journal.note(next + 2)
      memory.store(next + 2, previous)
    }
    if (previous !== 0) {
      journal.note(previous + 1)
      memory.store(previous + 1, next)
      return
    }
    const list = sizeClass(words)
    journal.note(head.freeLists + list)
    this.#head[head.freeLists + list] = next
    if (next === 0) this.#filled[list >> 5]! &= ~(1 << (list & 31))
  }

  #mark(list: number): void {
    this.#filled[list >> 5]! |= 1 << (list & 31)
  }

  /** The first non-empty list from `from` on, or -1. */
  #filledList(from: number): number {
    const filled = this.#filled
    let word = from >> 5
    let bits = filled[word]! & (-1 << (from & 31))
    while (bits === 0) {
      if (++word === filled.length) return -1
      bits = filled[word]!
    }
    return word * 32 + 31 - clz32(bits & -bits)
  }
}

/** The list for a free block of `words` words. */
export function sizeClass(words: number): number {
  if (words < 32) return words
  const octave = 31 - clz32(words)
  return 32 + (octave - 5) * 8 + ((words >>> (octave - 3)) & 7)
}

/** The first list in which every block has at least `words` words. */
function searchClass(words: number): number {
  if (words < 32) return words
  const octave = 31 - clz32(words)
  return sizeClass(words + (1 << (octave - 3)) - 1)
}
