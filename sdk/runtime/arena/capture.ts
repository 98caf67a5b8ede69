/**
 * Capture: the host's side of a checkpoint of some arenas. It starts a new age of their pages, and copies the pages
 * that were dirty then, while their writer continues.
 *
 *   idle → (cut) → capturing → (read until it returns 0 for each arena; or abandon) → idle
 *
 *   P1. `cut` is called when no transaction is open, or when the writer is known to have ended.
 *   P2. All calls of `read` together return each page that was dirty at the cut, as it was then; some pages twice,
 *       with the same content. When it returns 0, no page is missing.
 *   P3. Nothing that is read in shared memory is trusted: the number of a page that does not exist ends the capture
 *       with an error.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { head, journalWords } from './layout.ts'
import { foreign, isCutShort, PagedSlabs } from './paged-slabs.ts'
import { clean, firstAge, marksIn, otherAge, pageBytes, pageWords } from './pages.ts'
import { ShadowReader } from './shadow.ts'
import type { Slabs } from './slabs.ts'
import { slabsUsed } from './usage.ts'

interface CapturedArena {
  readonly slabs: Slabs
  /** Allocated on first use, because the cut must be short. */
  paged: PagedSlabs | undefined
  /** The mark of pending pages. */
  readonly pending: number
  /** The page at which `read` continues. */
  slab: number
  page: number
  /** The rows of the shadow that belong to this arena and were not read yet. */
  readonly rows: number[]
  /** Pages that were captured and marked as clean; `abandon` needs them. */
  readonly captured: number[]
}

export class Capture {
  readonly #shadow: ShadowReader
  readonly #arenas = new Map<number, CapturedArena>()
  #rowsSeen = 0

  /** @param shadow The shadow that the writer of the arenas has. */
  constructor(shadow: ArrayBufferLike) {
    this.#shadow = new ShadowReader(shadow)
  }

  /**
   * Begins a capture of these arenas, by number (P1).
   * @param interrupted Whether an arena may contain an interrupted transaction: then its journal is captured too.
   */
  cut(arenas: Iterable<readonly [number, Slabs]>, interrupted = false): void {
    if (this.#arenas.size > 0) throw new Error('Cannot cut: a capture is under way')
    this.#shadow.clear()
    this.#rowsSeen = 0
    for (const [number, slabs] of arenas) {
      const age = ageOf(slabs)
      if (age === undefined) continue // nothing was ever stored in it
      if (interrupted) markJournal(slabs, age)
      new Int32Array(slabs.get(0))[head.age] = otherAge(age)
      const from = { paged: undefined, slab: 0, page: 0 }
      this.#arenas.set(number, { slabs, pending: age, ...from, rows: [], captured: [] })
    }
  }

  /** Whether the shadow was too small. Then the capture has to be abandoned. */
  get overflown(): boolean {
    return this.#shadow.overflown
  }

  /** The pages that neither side has copied yet: so many the writer may still copy. */
  get pending(): number {
    let count = 0
    for (const arena of this.#arenas.values()) count += pendingOf(arena)
    return count
  }

  /**
   * Copies pages of an arena into `bytes`, at most as many as `pages` takes, and their numbers into `pages`. @returns
   * How many.
   */
  read(arena: number, pages: Uint32Array, bytes: Uint8Array): number {
    const captured = this.#arenas.get(arena)
    if (captured === undefined) return 0
    let count = this.#readPending(captured, pages, bytes)
    if (count === pages.length) return count
    this.#sortRows() // behind the look at the last mark: what was not pending any more is in the shadow by now
    for (let row = captured.rows.pop(); row !== undefined; row = captured.rows.pop()) {
      const page = this.#shadow.page(row)
      if (pagedOf(captured).with(page) === undefined) throw foreign(`page ${page} of partition ${arena}`)
      bytes.set(this.#shadow.bytes(row), count * pageBytes)
      pages[count++] = page
      if (count === pages.length) break
    }
    return count
  }

  /** Ends the capture of an arena for which `read` has returned 0. */
  end(arena: number): void {
    this.#arenas.delete(arena)
  }

  /** Gives up the capture: what was dirty at the cut is dirty again. */
  abandon(): void {
    for (const arena of this.#arenas.values()) {
      const paged = pagedOf(arena)
      const present = otherAge(arena.pending)
      for (const page of arena.captured) paged.mark(page, clean, present)
      for (const { marks, pages } of paged.slabs)
        for (let page = 0; page < pages; page++)
          if (marks[page] === arena.pending) Atomics.compareExchange(marks, page, arena.pending, present)
    }
    this.#arenas.clear()
  }

  #readPending(arena: CapturedArena, pages: Uint32Array, bytes: Uint8Array): number {
    const { slabs } = pagedOf(arena)
    const { pending, captured } = arena
    let count = 0
    for (; arena.slab < slabs.length; arena.slab++, arena.page = 0) {
      const slab = slabs[arena.slab]!
      const { marks } = slab
      for (; arena.page < slab.pages; arena.page++) {
        const { page } = arena
        if (marks[page] !== pending) continue
        if (count === pages.length) return count
        bytes.set(slab.page(page), count * pageBytes)
        if (Atomics.compareExchange(marks, page, pending, clean) !== pending) continue // void: it is in the shadow
        captured.push(slab.base + page)
        pages[count++] = slab.base + page
      }
    }
    return count
  }

  #sortRows(): void {
    const { count } = this.#shadow
    for (; this.#rowsSeen < count; this.#rowsSeen++) {
      const row = this.#rowsSeen
      this.#arenas.get(this.#shadow.owner(row))?.rows.push(row) // late ones of an arena that has ended are repeats
    }
  }
}

/**
 * Between two batches: the slabs that an arena uses, for a cut or an image. Pages of other slabs have no meaning and
 * are marked as clean: an undone record may have changed them.
 * @param commitWord The commit word of a writer that was ended. If it left an unfinished transaction, all slabs are
 *   used.
 */
export function usedSlabs(slabs: Slabs, commitWord?: number): Slabs {
  const words = new Int32Array(slabs.get(0), 0, head.blocks)
  if (commitWord !== undefined && isCutShort(words, commitWord)) return slabs
  const count = slabsUsed(slabs, words)
  for (let index = count; index < slabs.count; index++) {
    const slab = slabs.get(index)
    marksIn(slab, slab.byteLength >>> 2).fill(clean)
  }
  const { slabBytes, limitBytes, heldBytes } = slabs
  return { slabBytes, limitBytes, heldBytes, count, get: (index) => slabs.get(index), grow: () => false }
}

/** Marks pages of an arena as changed, so that the next cut contains them. Allowed at any time. */
export function markDirty(slabs: Slabs, pages: Iterable<number>): void {
  const age = ageOf(slabs)
  if (age === undefined) return
  const paged = new PagedSlabs(slabs)
  for (const page of pages) paged.mark(page, clean, age)
}

/** The same for all pages. */
export function markAllDirty(slabs: Slabs): void {
  const age = ageOf(slabs)
  if (age === undefined) return
  for (const { marks, pages } of new PagedSlabs(slabs).slabs)
    for (let page = 0; page < pages; page++) Atomics.compareExchange(marks, page, clean, age)
}

/** Whether anything was ever stored in these slabs. */
export function hasArena(slabs: Slabs): boolean {
  return ageOf(slabs) !== undefined
}

/** Whether the next cut would contain a page. */
export function isDirty(slabs: Slabs): boolean {
  const age = ageOf(slabs)
  if (age === undefined) return false
  return new PagedSlabs(slabs).slabs.some(({ marks }) => marks.includes(age))
}

/**
 * The pages that the next cut would contain, with their bytes one after another. Only for an arena without a writer
 * and without a capture under way.
 * @returns Undefined if there are more than `most`.
 */
export function dirtyPages(
  slabs: Slabs,
  most: number,
): { readonly pages: Uint32Array; readonly bytes: Uint8Array } | undefined {
  const age = ageOf(slabs)
  const found: Uint8Array[] = []
  const pages: number[] = []
  for (const slab of age === undefined ? [] : new PagedSlabs(slabs).slabs) {
    for (let page = slab.marks.indexOf(age!); page >= 0; page = slab.marks.indexOf(age!, page + 1)) {
      if (pages.length === most) return undefined
      pages.push(slab.base + page)
      found.push(slab.page(page))
    }
  }
  const bytes = new Uint8Array(pages.length * pageBytes)
  for (const [index, page] of found.entries()) bytes.set(page, index * pageBytes)
  return { pages: Uint32Array.from(pages), bytes }
}

function pagedOf(arena: CapturedArena): PagedSlabs {
  arena.paged ??= new PagedSlabs(arena.slabs)
  return arena.paged
}

/** From where `read` continues: none are left before. */
function pendingOf(arena: CapturedArena): number {
  const { slabs } = pagedOf(arena)
  let count = 0
  for (let slab = arena.slab, from = arena.page; slab < slabs.length; slab++, from = 0) {
    const { marks, pages } = slabs[slab]!
    const first = marks.indexOf(arena.pending, from) // most slabs have none, and this is fast
    if (first < 0) continue
    for (let page = first; page < pages; page++) if (marks[page] === arena.pending) count += 1
  }
  return count
}

/** Undefined if there is no arena yet. @throws {CodedError} ERR_STATE_FORMAT */
function ageOf(slabs: Slabs): number | undefined {
  if (slabs.count === 0) return undefined
  const age = new Int32Array(slabs.get(0), 0, head.roots)[head.age]!
  if (age === 0) return undefined
  if (age !== firstAge && age !== otherAge(firstAge)) throw foreign(`age ${age}`)
  return age
}

function markJournal(slabs: Slabs, age: number): void {
  const last = Math.floor((head.journal + journalWords - 1) / pageWords)
  const { marks } = new PagedSlabs(slabs).slabs[0]!
  marks.fill(age, 0, last + 1)
}
