/**
 * Buckets: the index, by linear hashing: an array of heads of chains of entries, which grows by one chain at a time.
 *
 * When there are more entries than half the chains, one more chain is made, and one older chain gives it about half of
 * its entries: an insertion pays for three chains at most, and there is never a second table. The array lies in blocks
 * of 1024 heads, their positions in blocks of 1024 positions. Many keys of one hash make one chain long, and nothing else.
 *
 *   B1. The chain of a hash is its low bits under the mask, or under half of it where that chain does not exist yet.
 *   B2. Heads behind the last chain, and positions of their blocks, mean nothing (journal.ts, J1).
 * See: W. Litwin, "Linear Hashing: a New Tool for File and Table Addressing", 1980.
 * @module
 */
import type { Heap } from './heap.ts'
import type { Journal } from './journal.ts'
import { head, tablesMax } from './layout.ts'
import { type Memory, Words } from './memory.ts'
import type { Roots } from './roots.ts'

const { clz32, imul } = Math

export const headsShift = 10
export const headsPerBlock = 1 << headsShift
const headsMask = headsPerBlock - 1
/** A tag and the heads. */
export const headsBlockWords = headsPerBlock + 1
const bucketsMax = tablesMax * headsPerBlock * headsPerBlock
const imagedLinkWords = 3
/** Two chains an entry cost four bytes more than one, and save a cache miss in four lookups. */
const bucketsPerEntry = 2
const splitsEach = 3

/**
 * Spreads a key's hash, one to one. What it is for: keys of one partition agree in hash mod partitions, so the low bits
 * alone would leave chains empty.
 */
export function spread(hash: number): number {
  const mixed = imul(hash, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

export class Buckets {
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #heap: Heap
  readonly #roots: Roots
  /** Positions of the blocks of heads, behind their tags. */
  #blocks = new Words(16)
  /** 2ⁿ − 1, and the last chain's number has n bits. */
  #mask = 0

  constructor(memory: Memory, journal: Journal, heap: Heap, roots: Roots) {
    this.#memory = memory
    this.#journal = journal
    this.#heap = heap
    this.#roots = roots
  }

  /** Makes the first block of chains in a new arena. @returns Whether there was room. */
  format(): boolean {
    if (!this.#addHeads(0)) return false
    for (let i = 0; i < headsPerBlock; i++) this.#memory.store(this.#blocks[0]! + i, 0)
    this.#roots.buckets = headsPerBlock
    this.#setMask()
    return true
  }

  /**
   * Forgets all chains but those of the first block, which are empty as there are no entries.
   * @returns Where the blocks of a new arena end; 0 if its first ones are elsewhere.
   */
  empty(): number {
    const table = head.blocks + headsBlockWords
    if (this.#blocks[0] !== head.blocks + 1 || this.#memory.load(head.tables) !== table) return 0
    this.#roots.buckets = headsPerBlock
    this.#setMask()
    return table + headsBlockWords
  }

  /** Reads what is there, for the first time or after an undo. */
  reset(): void {
    const memory = this.#memory
    const count = (this.#roots.buckets + headsMask) >> headsShift
    if (count > this.#blocks.length) this.#blocks = new Words(2 * count)
    for (let i = 0; i < count; i++) {
      const table = memory.load(head.tables + (i >> headsShift))
      this.#blocks[i] = memory.load(table + 1 + (i & headsMask)) + 1
    }
    this.#setMask()
  }

  /** The position of the head of the chain of a hash. */
  linkOf(hash: number): number {
    const bucket = hash & this.#mask
    return this.headOf(bucket < this.#roots.buckets ? bucket : bucket & (this.#mask >> 1))
  }

  /** The position of the head of chain `bucket`. */
  headOf(bucket: number): number {
    return this.#blocks[bucket >> headsShift]! + (bucket & headsMask)
  }

  /**
   * Loads what looking up keys of these hashes will; the hashes are gone then. Loads that do not wait for each other miss the
   * caches side by side.
   */
  fetch(hashes: Int32Array, count: number): void {
    const { shift, mask, words } = this.#memory
    for (let i = 0; i < count; i++) hashes[i] = this.#memory.load(this.linkOf(spread(hashes[i]!)))
    let seen = 0
    for (let i = 0; i < count; i++) seen ^= words[hashes[i]! >> shift]![(hashes[i]! & mask) + 2]!
    hashes[0] = seen // or V8 would leave the loads out
  }

  /**
   * Makes more chains while entries outnumber half of them; not if there is no room: then chains get longer.
   * @returns Whether it has made any.
   */
  keepUp(): boolean {
    const { buckets, entries } = this.#roots
    for (let i = 0; i < splitsEach; i++) {
      const bucket = this.#roots.buckets
      if (bucketsPerEntry * entries <= bucket || bucket >= bucketsMax || !this.#split(bucket)) break
    }
    return this.#roots.buckets > buckets
  }

  #split(bucket: number): boolean {
    const half = (1 << (31 - clz32(bucket))) - 1
    const low = this.headOf(bucket & half)
    const first = (bucket & headsMask) === 0
    if (first && !this.#addHeads(bucket >> headsShift)) return false
    if (!this.#heap.reserve(imagedLinkWords * this.#lengthOf(low))) {
      if (first) this.#heap.discard(this.headOf(bucket) - 1)
      return false
    }
    this.#roots.buckets = bucket + 1
    this.#roots.dirty = true
    this.#setMask()
    this.#deal(low, this.headOf(bucket), bucket)
    return true
  }

  /** Deals the chain at `low` out to itself and the new chain at `high`, in the order that it has. */
  #deal(low: number, high: number, bucket: number): void {
    const memory = this.#memory
    const mask = this.#mask
    for (let entry = memory.load(low); entry !== 0; ) {
      const next = memory.load(entry + 1)
      if ((memory.load(entry + 2) & mask) === bucket) {
        this.#relink(high, entry)
        high = entry + 1
      } else {
        this.#relink(low, entry)
        low = entry + 1
      }
      entry = next
    }
    this.#relink(low, 0)
    this.#relink(high, 0)
  }

  #relink(link: number, entry: number): void {
    if (this.#memory.load(link) === entry) return
    this.#journal.note(link)
    this.#memory.store(link, entry)
  }

  #lengthOf(link: number): number {
    let length = 2 // the ends of both chains
    for (let entry = this.#memory.load(link); entry !== 0; entry = this.#memory.load(entry + 1)) length++
    return length
  }

  /** Makes block `index` of heads, and the table that names it if it is the table's first. */
  #addHeads(index: number): boolean {
    const block = this.#heap.allocate(headsBlockWords)
    if (block === 0) return false
    const root = head.tables + (index >> headsShift)
    if ((index & headsMask) === 0) {
      const table = this.#heap.allocate(headsBlockWords)
      if (table === 0) {
        this.#heap.discard(block)
        return false
      }
      this.#memory.touch(root)
      this.#memory.store(root, table)
    }
    const name = this.#memory.load(root) + 1 + (index & headsMask)
    this.#memory.touch(name)
    this.#memory.store(name, block) // B2
    if (index === this.#blocks.length) this.#blocks = doubled(this.#blocks)
    this.#blocks[index] = block + 1
    return true
  }

  #setMask(): void {
    this.#mask = 2 ** (32 - clz32(this.#roots.buckets - 1)) - 1
  }
}

function doubled(list: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const longer = new Words(2 * list.length)
  for (let i = 0; i < list.length; i++) longer[i] = list[i]!
  return longer
}
