/**
 * PagedSlabs: the slabs of an arena as pages and marks, for the host; and how captured pages become slabs again.
 *
 * Pages are numbered like positions: by full slabs.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { arenaError } from './errors.ts'
import { imageEndWords } from './journal.ts'
import { head } from './layout.ts'
import { clean, firstAge, marksIn, pageBytes, pagesOf } from './pages.ts'
import type { Slabs } from './slabs.ts'

const emptyJournalTop = head.journal + imageEndWords

class PagedSlab {
  /** The number of its first page. */
  readonly base: number
  readonly pages: number
  readonly marks: Uint8Array
  readonly #bytes: Uint8Array

  constructor(memory: ArrayBufferLike, base: number) {
    const words = memory.byteLength >>> 2
    this.base = base
    this.pages = pagesOf(words)
    this.marks = marksIn(memory, words)
    this.#bytes = new Uint8Array(memory)
  }

  /** The bytes of its page `index`. */
  page(index: number): Uint8Array {
    return this.#bytes.subarray(index * pageBytes, (index + 1) * pageBytes)
  }
}

export class PagedSlabs {
  readonly slabs: readonly PagedSlab[]
  readonly #perSlab: number

  constructor(slabs: Slabs) {
    this.#perSlab = slabs.slabBytes / pageBytes
    this.slabs = Array.from(
      { length: slabs.count },
      (_, index) => new PagedSlab(slabs.get(index), index * this.#perSlab),
    )
  }

  /** The slab that contains page `page`, if there is one. */
  with(page: number): PagedSlab | undefined {
    const slab = this.slabs[Math.floor(page / this.#perSlab)]
    return slab !== undefined && page - slab.base < slab.pages ? slab : undefined
  }

  /** Changes a page's mark from `from` to `to`, if it is `from`. */
  mark(page: number, from: number, to: number): void {
    const slab = this.with(page)
    if (slab !== undefined) Atomics.compareExchange(slab.marks, page - slab.base, from, to)
  }
}

/** Writes captured pages into new slabs of the original sizes. @throws {CodedError} ERR_STATE_FORMAT */
export function restorePages(slabs: PagedSlabs, pages: ArrayLike<number>, bytes: Uint8Array): void {
  for (let i = 0; i < pages.length; i++) {
    const page = pages[i]!
    const slab = slabs.with(page)
    if (slab === undefined) throw foreign(`page ${page}`)
    slab.page(page - slab.base).set(bytes.subarray(i * pageBytes, (i + 1) * pageBytes))
  }
}

/**
 * Whether the writer was ended in a transaction. @param words The first slab. @param commitWord The writer's last
 * commit word.
 */
export function isCutShort(words: Int32Array, commitWord: number): boolean {
  return words[head.journalMark] === commitWord && words[head.journalTop] !== emptyJournalTop
}

/**
 * After the last page: marks everything as clean, if there is nothing to undo; else everything as dirty, with one
 * transaction to undo.
 * @param interrupted The commit word at the cut, if a transaction may have been interrupted, and the one with which
 *   the arena will be opened: then it is undone.
 */
export function finishRestore(
  slabs: Slabs,
  interrupted?: { readonly commitWord: number; readonly newCommitWord: number },
): void {
  const words = new Int32Array(slabs.get(0), 0, head.blocks)
  const isUndone = interrupted !== undefined && isCutShort(words, interrupted.commitWord)
  // Undoing does not touch pages one by one, so the next checkpoint contains all of them.
  for (const { marks } of new PagedSlabs(slabs).slabs) marks.fill(isUndone ? firstAge : clean)
  words[head.age] = firstAge
  if (isUndone) {
    words[head.journalMark] = interrupted.newCommitWord
    return
  }
  words[head.journal] = words[head.journal + 1] = 0
  words[head.journalTop] = emptyJournalTop
}

export function foreign(found: string): Error {
  return arenaError('ERR_STATE_FORMAT', `Cannot read the pages of state: found ${found}, which there is not`)
}
