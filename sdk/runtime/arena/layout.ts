/**
 * Layout: what stands where in an arena. Everything is a 32-bit word; a *position* counts words through all slabs, so
 * that slab = position >> shift and the place in it = position & mask. Position 0 means "none".
 *
 * *Slab 0* begins with the words of `head`, the free lists and the first part of the journal. Behind that, and in all
 * other slabs, lie *blocks* without gaps up to a sentinel, one word; in the last slab, up to `top`. Behind the sentinel,
 * at the end of each slab, stand the marks of its pages (pages.ts).
 *
 * *A block* begins with a tag: words << 2 | the block before is free << 1 | used.
 *   free:       tag, next in its free list, previous in it, …, and in the last word its words again
 *   discarded:  tag (used), next discarded block, …                                        (heap.ts)
 *   journal:    tag (used), next discarded block, top of the journal before, 0, images …   (journal.ts)
 *   heads:      tag (used), 1024 heads of chains; or as many positions of such blocks      (buckets.ts)
 *   entry:      tag (used), next in its chain, hash, shape, [expires low, high,] key words, value words (entry.ts)
 *
 *   A1. The layout is fixed by its version; who finds another one does not open the arena. Version 2 is version 1 with
 *       formats of entries (formats.ts): a version 1 has all of them zero.
 * Design: docs/design/0006-state-arena.md, 0032-migrate.md
 * @module
 */

export const magic = 0x4e524143 // "CARN"
export const formatVersion = 1
/** The version of an arena that has a table of formats. */
export const formatsVersion = 2

/** Words at the start of slab 0. */
export const head = {
  magic: 0,
  version: 1,
  /** Words of a full slab; positions are counted in these. */
  slabWords: 2,
  /** The commit word, unless the arena's owner keeps it elsewhere (journal.ts). */
  commit: 3,
  journalTop: 4,
  journalMark: 5,
  /** The mark of pages that have changed since the last cut, of two numbers (pages.ts). */
  age: 6,
  /** The roots (roots.ts): sixteen words. */
  roots: 8,
  /** Positions of blocks of positions of blocks of heads. */
  tables: 24,
  /** The heads of the free lists. */
  freeLists: 88,
  journal: 280,
  blocks: 2328,
} as const

export const tablesMax = head.freeLists - head.tables
export const freeLists = head.journal - head.freeLists
export const journalWords = head.blocks - head.journal

/** Positions fit 31 bits. */
export const positionBits = 31

export const tag = { used: 1, previousFree: 2 } as const
export function tagOf(words: number, flags: number): number {
  return (words << 2) | flags
}

/** Words of an entry before its key, if it has no expiry. */
export const entryHeaderWords = 4
export const entryExpiryWords = 2

/** The word `shape` of an entry: the bytes of its key, the unused bytes after its value, and flags. */
export const shape = {
  keyBytes: 0xffff,
  slackShift: 16,
  /** At most 164 bytes: an eighth of the largest value that is overwritten in place, and 16. */
  slack: 0xff,
  /** The format of the entry: an index into the arena's table (formats.ts). */
  formatShift: 24,
  format: 0x0f000000,
  /** The key is deleted for versions of that format; older entries of it may exist. */
  gone: 1 << 28,
  /** The value is ASCII text. */
  ascii: 1 << 29,
  expires: 1 << 30,
  /** The key is that of a part (entry.ts): no key of the author's is ever equal to it. */
  part: 1 << 31,
  /** The bits of the shape that must be equal for two keys to be equal. */
  key: 0x8f00ffff | 0,
  /** The same, whatever their formats are. */
  keyOfAny: 0x8000ffff | 0,
  /** The entry may not be there for a reader: its key is deleted, or it expires. */
  conditional: (1 << 28) | (1 << 30),
} as const
