/**
 * How an arena begins.
 * @module
 */
import type { Buckets } from './buckets.ts'
import type { Heap } from './heap.ts'
import type { Journal } from './journal.ts'
import { head, tag, tagOf } from './layout.ts'
import type { Memory } from './memory.ts'
import type { Roots } from './roots.ts'

interface Parts {
  readonly memory: Memory
  readonly journal: Journal
  readonly heap: Heap
  readonly buckets: Buckets
  readonly roots: Roots
}

/**
 * Makes one in memory that is all zeros. Its version and its magic number are left to be written last: what is cut short
 * here was never an arena.
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
