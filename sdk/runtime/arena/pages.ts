/**
 * Pages: what a checkpoint is made of, and the mark of each that says whether it has changed.
 *
 * A page is 256 words of a slab. The marks lie in the slab's last words, a byte for each of its pages, and so outlive
 * whoever wrote them. Of the two *ages*, the one in `head.age` is the present one:
 *
 *   the present age   dirty: changed since the cut
 *   the other one     pending: was dirty at the cut, and is as it was then
 *   0                 clean: never written, or captured and not changed since
 *
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { Bytes } from '../realm/primordials.ts'

export const pageShift = 8
export const pageWords = 1 << pageShift
export const pageBytes = 4 * pageWords

/** Where a writer keeps a page before it changes it. */
export interface PageKeeper {
  /** Keeps page `page` of its arena, which starts at index `at` of `words`. */
  keep(page: number, words: Int32Array, at: number): void
}

export const clean = 0
export const firstAge = 1
/** Both ages together. */
const ages = 3

/** The other age: the next one, and the one before. */
export function otherAge(age: number): number {
  return ages - age
}

/** The words of content in a slab of `words` words; the marks follow them. */
export function contentWords(words: number): number {
  return words - ((pagesOf(words) + 3) >>> 2)
}

/** The number of pages in a slab of `words` words. */
export function pagesOf(words: number): number {
  return (words + pageWords - 1) >>> pageShift
}

/** The marks of a slab of `words` words. */
export function marksIn(slab: ArrayBufferLike, words: number): Uint8Array {
  return new Bytes(slab, contentWords(words) * 4, pagesOf(words))
}
