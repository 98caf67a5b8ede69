/**
 * MakeArena: creates an arena, and empties one.
 * @module
 */
import type { Buckets } from './buckets.ts'
import type { Heap } from './heap.ts'
import type { Journal } from './journal.ts'
import { freeLists, head, tag, tagOf } from './layout.ts'
import type { Memory } from './memory.ts'
import type { Roots } from './roots.ts'

/** Journal words for emptying. */
const emptyWords = freeLists + 8

interface Parts {
  readonly memory: Memory
  readonly journal: Journal
  readonly heap: Heap
  readonly buckets: Buckets
  readonly roots: Roots
}

/**
 * Creates an arena in memory that is all zeros. Its version and magic number are written last: memory in which this
 * was interrupted never counts as an arena.
 * @returns Whether there was room.
 */
export function makeArena({ memory, journal, heap, buckets, roots }: Parts, commit: () => void): boolean {
  const words = memory.words[0]!
  for (let i = 0; i < head.blocks; i++) words[i] = 0
  words[head.age] = memory.age
  memory.touchAll(0, head.blocks)
  memory.touch(memory.sizes[0]! - 1)
  words[memory.sizes[0]! - 1] = tagOf(1, tag.used)
  words[head.slabWords] = memory.mask + 1
  journal.clear()
  roots.top = head.blocks
  roots.slabs = 1
  journal.begin()
  heap.reset()
  if (!buckets.format()) return false
  commit()
  journal.clear()
  return true
}

/**
 * Makes an arena without entries as small as a new one, in a transaction. Blocks beyond are not freed; they lose
 * their meaning.
 * @returns Whether it succeeded.
 */
export function emptyArena({ memory, journal, heap, buckets, roots }: Parts): boolean {
  if (!heap.reserve(emptyWords)) return false
  const top = buckets.empty()
  if (top === 0) return false
  const words = memory.words[0]!
  const sentinel = memory.sizes[0]! - 1
  journal.image(head.freeLists, freeLists)
  for (let list = 0; list < freeLists; list++) words[head.freeLists + list] = 0
  journal.note(sentinel)
  words[sentinel] = tagOf(1, tag.used)
  roots.top = top
  roots.slabs = 1
  roots.discarded = roots.timerRoot = roots.timerLevels = 0
  roots.dirty = true
  heap.reset()
  return true
}
