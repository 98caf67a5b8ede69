/**
 * Roots: the few numbers from which everything in an arena is found. They are worked on here, outside the arena, and
 * written to it at the commit: `load` is therefore how a transaction is forgotten.
 * @module
 */
import type { Journal } from './journal.ts'
import { head } from './layout.ts'

const two32 = 2 ** 32
const rootWords = 13
/** Where some of them stand. */
export const rootAt = { entries: head.roots, top: head.roots + 4, slabs: head.roots + 5 } as const

export class Roots {
  entries = 0
  /** Of keys and values. */
  bytes = 0
  /** Chains in the index. */
  buckets = 0
  /** Where the last slab's unused rest begins. */
  top = 0
  slabs = 0
  /** The first of the blocks that are discarded and not yet free. */
  discarded = 0
  /** Entries that expire. */
  expiring = 0
  /** Entries that are timers; `entries` counts them too. */
  timers = 0
  /** The first node of their tree, and how many levels it has. */
  timerRoot = 0
  timerLevels = 0
  /** The order that the next timer may have. */
  timerOrder = 0
  /** Whether any of them differs from what the arena holds. */
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

  /** Needs room for `rootWords` and an image's end in the journal. */
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
