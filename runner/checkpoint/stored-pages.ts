/**
 * StoredPages: which stored segments have the pages of a slot, and which of them nothing names any more.
 *
 *   SG1. No page is named of a slab that the arena has not, or has in another size: slabs are taken away, and others may come in
 *        their place. A cut that finds this takes all pages, and those of before are forgotten.
 *   SG2. A segment is given up once, when no page of it is needed, and neither a manifest nor a base names it.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import {
  type LoadedSegment,
  SegmentBook,
  type SegmentId,
  type SegmentInfo,
} from '../../infra/checkpoints/index.ts'
import { pageBytes, slabBytesDefault } from '../../sdk/runtime/index.ts'

/** How many pages each slab is counted as. */
const slabPages = slabBytesDefault / pageBytes

/** A stored segment, and its pages. */
export interface PagedSegment {
  readonly segment: LoadedSegment
  readonly pages: readonly Uint32Array[]
}

export class StoredPages {
  readonly #book = new SegmentBook()
  /** Of the slabs whose pages are in the book. */
  #sizes: readonly number[]
  /** Segments without a page that is needed, which something may still name. */
  #doomed: LoadedSegment[]

  constructor(sizes: readonly number[] = [], read: readonly PagedSegment[] = []) {
    this.#sizes = sizes
    this.#doomed = read.flatMap(({ segment, pages }) => this.#book.add(segment, pages))
  }

  /** Stored pages that are needed. */
  get live(): number {
    return this.#book.livePages
  }

  /** Segments with pages that are needed, oldest first. */
  get segments(): SegmentInfo[] {
    return this.#book.segments
  }

  /** Whether an arena with slabs of these sizes has all that are stored. */
  goesOn(sizes: readonly number[]): boolean {
    return firstGone(this.#sizes, sizes) < 0
  }

  /** Adds what was stored of an arena with slabs of these sizes. */
  add(sizes: readonly number[], added: PagedSegment | undefined): void {
    const gone = firstGone(this.#sizes, sizes)
    if (gone >= 0) this.#doomed.push(...this.#book.forget(gone * slabPages)) // SG1
    this.#sizes = sizes
    if (added !== undefined) this.#doomed.push(...this.#book.add(added.segment, added.pages))
  }

  /** Gives up what is not needed (SG2). @param named Segments that are still named. @returns The sequences of their parts. */
  giveUp(named: readonly SegmentId[]): number[] {
    const keys = new Set(named.map(keyOf))
    const isNamed = ({ info }: LoadedSegment): boolean => keys.has(keyOf(info))
    const unnamed = this.#doomed.filter((segment) => !isNamed(segment))
    this.#doomed = this.#doomed.filter(isNamed)
    return unnamed.flatMap(({ sequences }) => sequences)
  }

  /** Pages to be stored again so that an old segment can go. */
  toMove(): number[] {
    return this.#book.pagesToMove()
  }
}

/** The first of some slabs that others lack, or have in another size; -1: none. */
export function firstGone(before: readonly number[], now: readonly number[]): number {
  return before.findIndex((bytes, index) => bytes !== now[index])
}

export function keyOf({ epoch, number }: SegmentId): string {
  return `${epoch}-${number}`
}
