/**
 * Room: how much an arena can take before it needs another slab, as read by the host between two calls.
 *
 * What is read may be anything (the isolate has written it): at worst the host adds a slab too many or too few.
 * @module
 */
import { head, magic } from './layout.ts'
import { contentWords } from './pages.ts'
import { rootAt } from './roots.ts'
import type { Slabs } from './slabs.ts'

/** Whether there is an arena. @param words Of its first slab. */
export function isMade(words: Int32Array): boolean {
  return words[head.magic] === magic
}

/**
 * Bytes behind the top of the last slab in use, and of those that wait. Blocks that are free again are not counted.
 * @param words Of the first slab, if there is one.
 */
export function roomOf(slabs: Slabs, words: Int32Array | undefined): number {
  if (words === undefined) return 0
  const made = isMade(words)
  const used = made ? words[rootAt.slabs]! : 1
  const slabWords = slabs.slabBytes >>> 2
  const top = made ? (words[rootAt.top]! & (slabWords - 1)) * 4 : head.blocks * 4
  let room = -top
  for (let slab = Math.max(used - 1, 0); slab < slabs.count; slab++)
    room += contentWords(slabs.get(slab).byteLength >>> 2) * 4
  return Math.max(room, 0)
}
