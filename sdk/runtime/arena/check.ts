/**
 * Check: reads a whole arena at rest and reports what is inconsistent. For tests, and to investigate a suspected
 * fault.
 *
 * It walks through all blocks from the first to the last, then through everything that can be reached, and compares:
 * each block must be reached once, and as what it is.
 * @module
 */
import { murmur3 } from '../../wire/hash.ts'
import { headsBlockWords, headsShift, spread } from './buckets.ts'
import { isPart, keyOffset, partKind, readBytes, valueBytes, valueRoom } from './entry.ts'
import { blockWordsMin, sizeClass } from './heap.ts'
import { formatsVersion, formatVersion, freeLists, head, magic, shape, tag } from './layout.ts'
import { Memory } from './memory.ts'
import { Roots } from './roots.ts'
import type { Slabs } from './slabs.ts'
import { timerIn } from './timer-entry.ts'
import { nodeItems, nodeWords } from './timer-tree.ts'

/** @returns A sentence for each fault; none if the arena is sound. */
export function faultsOf(slabs: Slabs): string[] {
  const memory = new Memory(slabs)
  memory.attach(slabs.count - 1)
  return new Check(memory).run()
}

interface Block {
  readonly words: number
  readonly free: boolean
  reached: string | undefined
}

class Check {
  readonly #memory: Memory
  readonly #roots = new Roots()
  readonly #blocks = new Map<number, Block>()
  readonly #faults: string[] = []
  #timerEntries = 0

  constructor(memory: Memory) {
    this.#memory = memory
  }

  run(): string[] {
    const words = this.#memory.words[0]!
    const version = words[head.version]!
    if (words[head.magic] !== magic || version < formatVersion || version > formatsVersion)
      return ['it is not an arena']
    this.#roots.load(words)
    for (let slab = 0; slab < this.#roots.slabs; slab++) this.#walkSlab(slab)
    this.#walkFreeLists()
    this.#walkDiscarded()
    this.#walkIndex()
    this.#walkTimers()
    for (const [position, { words, free, reached }] of this.#blocks) {
      this.#expect(
        reached !== undefined || (!free && words < blockWordsMin),
        `block ${position}: nobody has it`,
      )
    }
    return this.#faults
  }

  #expect(holds: boolean, fault: string): boolean {
    if (!holds) this.#faults.push(fault)
    return holds
  }

  /** Checks that blocks follow each other without gaps, and agree about each other. */
  #walkSlab(slab: number): void {
    const start = slab * (this.#memory.mask + 1)
    const sentinel = start + this.#memory.sizes[slab]! - 1
    const last = slab === this.#roots.slabs - 1
    const end = last ? this.#roots.top : sentinel
    let position = slab === 0 ? head.blocks : start
    let previousFree = false
    while (position < end) {
      const mark = this.#memory.load(position)
      const size = mark >>> 2
      const free = (mark & tag.used) === 0
      if (!this.#expect(size > 0 && position + size <= end, `block ${position}: ${size} words`)) return
      this.#expect(
        ((mark & tag.previousFree) !== 0) === previousFree,
        `block ${position}: wrong of the one before`,
      )
      this.#expect(!(free && previousFree), `block ${position}: free like the one before`)
      this.#expect(!free || size >= blockWordsMin, `block ${position}: too small to be free`)
      if (free)
        this.#expect(this.#memory.load(position + size - 1) === size, `block ${position}: wrong last word`)
      this.#blocks.set(position, { words: size, free, reached: undefined })
      previousFree = free
      position += size
    }
    this.#expect(position === end, `slab ${slab}: ends at ${position}, not ${end}`)
    if (last) this.#expect(!previousFree, 'the block before the top is free')
    const mark = this.#memory.load(sentinel)
    this.#expect(mark >>> 2 === 1 && (mark & tag.used) !== 0, `slab ${slab}: no sentinel`)
    if (!last)
      this.#expect(((mark & tag.previousFree) !== 0) === previousFree, `slab ${slab}: wrong sentinel`)
  }

  /** Notes that a block was reached, and by what. */
  #reach(position: number, as: string, free: boolean): Block | undefined {
    const block = this.#blocks.get(position)
    if (!this.#expect(block !== undefined, `${as} at ${position}: there is no block`)) return undefined
    this.#expect(block!.free === free, `${as} at ${position}: is ${free ? 'not free' : 'free'}`)
    if (!this.#expect(block!.reached === undefined, `${as} at ${position}: is also ${block!.reached}`))
      return undefined
    block!.reached = as
    return block
  }

  #walkFreeLists(): void {
    for (let list = 0; list < freeLists; list++) {
      let previous = 0
      let position = this.#memory.load(head.freeLists + list)
      while (position !== 0) {
        const block = this.#reach(position, `free block of list ${list}`, true)
        if (block === undefined) break
        this.#expect(
          sizeClass(block.words) === list,
          `block ${position}: ${block.words} words in list ${list}`,
        )
        this.#expect(this.#memory.load(position + 2) === previous, `block ${position}: wrong link back`)
        previous = position
        position = this.#memory.load(position + 1)
      }
    }
  }

  #walkDiscarded(): void {
    for (let at = this.#roots.discarded; at !== 0; at = this.#memory.load(at + 1))
      if (this.#reach(at, 'discarded block', false) === undefined) return
  }

  #walkIndex(): void {
    const { buckets } = this.#roots
    let entries = 0
    let bytes = 0
    for (let bucket = 0; bucket < buckets; bucket++) {
      const keys = new Set<string>()
      for (let at = this.#memory.load(this.#headOf(bucket)); at !== 0; at = this.#memory.load(at + 1)) {
        if (this.#reach(at, `entry of chain ${bucket}`, false) === undefined) break
        const { key, size } = this.#entry(at, bucket)
        this.#expect(!keys.has(key), `entry ${at}: its key is there twice`)
        keys.add(key)
        entries++
        bytes += size
      }
    }
    this.#expect(entries === this.#roots.entries, `${entries} entries, not ${this.#roots.entries}`)
    this.#expect(bytes === this.#roots.bytes, `${bytes} bytes, not ${this.#roots.bytes}`)
  }

  /** Checks that timers are in their tree by time and order, once each, and that each is an entry. */
  #walkTimers(): void {
    const { timerRoot, timerLevels, timers, timerOrder } = this.#roots
    const found: { readonly dueMs: number; readonly order: number }[] = []
    if (timerRoot !== 0) this.#walkNode(timerRoot, timerLevels, found)
    this.#expect(found.length === timers, `${found.length} timers, not ${timers}`)
    this.#expect(this.#timerEntries === timers, `${this.#timerEntries} entries of timers, not ${timers}`)
    for (const [i, { dueMs, order }] of found.entries()) {
      const before = found[i - 1] ?? { dueMs: Number.NEGATIVE_INFINITY, order: 0 }
      this.#expect(
        dueMs > before.dueMs || (dueMs === before.dueMs && order > before.order),
        `timer ${i}: not in order`,
      )
      this.#expect(
        order < timerOrder,
        `timer ${i}: of order ${order}, from ${timerOrder} on they are not given yet`,
      )
    }
  }

  #walkNode(node: number, level: number, found: { dueMs: number; order: number }[]): void {
    const reached = this.#reach(node, `node of level ${level}`, false)
    const count = this.#memory.load(node + 1)
    if (!this.#expect((reached?.words ?? 0) >= nodeWords, `node ${node}: too small`)) return
    if (!this.#expect(count > 0 && count <= nodeItems, `node ${node}: ${count} items`)) return
    for (let place = 0; place < count; place++) {
      const item = node + 2 + place * 5
      const below = this.#memory.load(item + 4)
      if (level > 1) {
        this.#walkNode(below, level - 1, found)
        continue
      }
      const words = this.#memory.words[below >> this.#memory.shift]!
      const timer = timerIn(words, below & this.#memory.mask)
      this.#expect(
        isPart(words, below & this.#memory.mask, partKind.timer),
        `item ${item}: leads to no timer`,
      )
      this.#expect(
        (this.#memory.load(item) >>> 0) + this.#memory.load(item + 1) * 2 ** 32 === timer.dueMs &&
          (this.#memory.load(item + 2) >>> 0) + this.#memory.load(item + 3) * 2 ** 32 === timer.order,
        `item ${item}: another time than its timer's`,
      )
      found.push(timer)
    }
  }

  #headOf(bucket: number): number {
    const index = bucket >> headsShift
    const first = (bucket & ((1 << headsShift) - 1)) === 0
    const table = this.#memory.load(head.tables + (index >> headsShift))
    if (bucket % (1 << (2 * headsShift)) === 0) this.#reach(table, 'table', false)
    const block = this.#memory.load(table + 1 + (index & ((1 << headsShift) - 1)))
    if (first) {
      const reached = this.#reach(block, 'block of heads', false)
      this.#expect((reached?.words ?? 0) >= headsBlockWords, `block of heads ${block}: too small`)
    }
    return block + 1 + (bucket & ((1 << headsShift) - 1))
  }

  #entry(position: number, bucket: number): { readonly key: string; readonly size: number } {
    const words = this.#memory.words[position >> this.#memory.shift]!
    const at = position & this.#memory.mask
    const form = words[at + 3]!
    const key = readBytes(words, at + keyOffset(form), form & shape.keyBytes)
    const hash = spread(murmur3(key))
    const bits = 2 ** Math.ceil(Math.log2(this.#roots.buckets))
    const chain = hash & (bits - 1)
    const belongs = chain < this.#roots.buckets ? chain : chain & (bits / 2 - 1)
    this.#expect(words[at + 2] === hash, `entry ${position}: wrong hash`)
    this.#expect(belongs === bucket, `entry ${position}: belongs to chain ${belongs}, not ${bucket}`)
    if (isPart(words, at, partKind.timer)) this.#timerEntries++
    const length = valueBytes(words, at)
    this.#expect(
      length >= 0 && length <= valueRoom(words, at),
      `entry ${position}: a value of ${length} bytes`,
    )
    const format = (form & shape.format) >> shape.formatShift
    const version = this.#memory.words[0]![head.version]!
    this.#expect(version === formatsVersion || format === 0, `entry ${position}: of a format`)
    return { key: `${form < 0}${format} ${key.join()}`, size: key.length + length }
  }
}
