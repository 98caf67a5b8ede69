/**
 * Roots: the few numbers from which everything in an arena is found. They are changed here, outside the arena, and
 * written to it at the commit; so `load` is how a transaction is forgotten.
 * @module
 */
import type { Journal } from './journal.ts'
import { head } from './layout.ts'

const two32 = 2 ** 32
const rootWords = 13
/** The indexes of some of them. */
export const rootAt = { entries: head.roots, top: head.roots + 4, slabs: head.roots + 5 } as const

export class Roots {
  entries = 0
  /** The bytes of keys and values. */
  bytes = 0
  /** The number of chains in the index. */
  buckets = 0
  /** Where the unused rest of the last slab begins. */
  top = 0
  slabs = 0
  /** The first discarded block that is not free yet. */
  discarded = 0
  /** The number of entries that expire. */
  expiring = 0
  /** The number of entries that are timers; `entries` includes them. */
  timers = 0
  /** The root node of the timers' tree, and its number of levels. */
  timerRoot = 0
  timerLevels = 0
  /** The order of the next timer. */
  timerOrder = 0
  /** Whether any of them differs from the arena's. */
  dirty = false

  load(words: Int32Array): void {
    this.entries = words[head.roots]!
    this.bytes = (words[head.roots + 1]! >>> 0) + words[head.roots + 2]! * two32
    this.buckets = words[head.roots + 3]!
    this.top = words[head.roots + 4]!
    this.slabs = words[head.roots + 5]!
    this.discarded = words[head.roots + 6]!
    this.expiring = words[head.roots + 7]!
    this.timers = words[head.roots + 8]!
    this.timerRoot = words[head.roots + 9]!
    this.timerLevels = words[head.roots + 10]!
    this.timerOrder = (words[head.roots + 11]! >>> 0) + words[head.roots + 12]! * two32
    this.dirty = false
  }

  /** The journal must have room for `rootWords` and the end of an image. */
  save(words: Int32Array, journal: Journal): void {
    journal.image(head.roots, rootWords)
    this.write(words)
  }

  write(words: Int32Array): void {
    words[head.roots] = this.entries
    words[head.roots + 1] = this.bytes | 0
    words[head.roots + 2] = (this.bytes - (this.bytes >>> 0)) / two32
    words[head.roots + 3] = this.buckets
    words[head.roots + 4] = this.top
    words[head.roots + 5] = this.slabs
    words[head.roots + 6] = this.discarded
    words[head.roots + 7] = this.expiring
    words[head.roots + 8] = this.timers
    words[head.roots + 9] = this.timerRoot
    words[head.roots + 10] = this.timerLevels
    words[head.roots + 11] = this.timerOrder | 0
    words[head.roots + 12] = (this.timerOrder - (this.timerOrder >>> 0)) / two32
    this.dirty = false
  }
}
