/**
 * Usage: how many of its slabs an arena uses, and how much fits before it needs another, as the host reads it between
 * two calls. Other slabs, and those taken by a record that was undone, have no meaning.
 *
 * The isolate has written what is read here, so it may be anything: at worst the host adds a slab too many or too
 * few.
 * @module
 */
import { head, magic } from './layout.ts'
import { contentWords } from './pages.ts'
import { rootAt } from './roots.ts'
import type { Slabs } from './slabs.ts'

/** Whether there is an arena. @param words The first slab. */
export function isMade(words: Int32Array): boolean {
  return words[head.magic] === magic
}

/** The number of slabs that the arena uses. @param words The first slab, if there is one. */
export function slabsUsed(slabs: Slabs, words: Int32Array | undefined): number {
  if (words === undefined) return 0
  return Math.min(Math.max(isMade(words) ? words[rootAt.slabs]! : 1, 1), slabs.count)
}

/** Whether the arena has neither entries nor timers. @param words The first slab. */
export function isEmpty(words: Int32Array): boolean {
  return isMade(words) && words[rootAt.entries] === 0
}

/**
 * Bytes after the top of the last slab in use, and in the slabs that follow. Free blocks are not counted.
 * @param words The first slab, if there is one.
 */
export function roomOf(slabs: Slabs, words: Int32Array | undefined): number {
  if (words === undefined) return 0
  const slabWords = slabs.slabBytes >>> 2
  const top = isMade(words) ? (words[rootAt.top]! & (slabWords - 1)) * 4 : head.blocks * 4
  let room = -top
  for (let slab = slabsUsed(slabs, words) - 1; slab < slabs.count; slab++)
    room += contentWords(slabs.get(slab).byteLength >>> 2) * 4
  return Math.max(room, 0)
}
