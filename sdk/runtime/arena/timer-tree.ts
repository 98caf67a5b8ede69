/**
 * TimerTree: the timers of an arena in the order in which they fall due, as a B+ tree of their entries.
 *
 * An *item* is five words: when it is due, its order among those of one time, and a position: in a leaf that of the
 * timer's entry, above that of the node with this item and those behind it. Setting, deleting and taking the first
 * change a few hundred words at most, whatever the number of timers, and nothing is ever rebuilt.
 *
 *   TT1. Items of a node ascend; those below an item lie between it and the next. The first of a node has no lower bound.
 *   TT2. No node is empty. Two neighbours under one node of which one has shrunk below `scantItems` are joined if they fit.
 *   TT3. Room in the journal and all blocks are had before the first change (N2 of arena.ts).
 * See: D. Comer, "The Ubiquitous B-Tree", 1979.
 * @module
 */
import { append } from '../realm/primordials.ts'
import type { Heap } from './heap.ts'
import type { Journal } from './journal.ts'
import type { Memory } from './memory.ts'
import type { Roots } from './roots.ts'

const { floor, max } = Math
const two32 = 2 ** 32

const itemWords = 5
export const nodeItems = 32
/** A tag, the number of items, the items. */
const nodeHeadWords = 2
export const nodeWords = nodeHeadWords + nodeItems * itemWords
const scantItems = nodeItems / 4
const joinedItemsMax = (nodeItems * 3) / 4
/** Journal words for one changed node: its items, their number, and the end of the images. */
const nodeRoomWords = nodeWords + itemWords + 8

/** When an item is due, and its order: the sort key, each in two words. */
interface Rank {
  readonly dueHigh: number
  readonly dueLow: number
  readonly orderHigh: number
  readonly orderLow: number
}

function rankOf(dueMs: number, order: number): Rank {
  return {
    dueHigh: floor(dueMs / two32),
    dueLow: dueMs >>> 0,
    orderHigh: floor(order / two32),
    orderLow: order >>> 0,
  }
}

export class TimerTree {
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #heap: Heap
  readonly #roots: Roots
  /** The path to the current item: the nodes from the root, and the index in each. */
  readonly #nodes: number[] = [0, 0, 0, 0, 0, 0, 0, 0]
  readonly #places: number[] = [0, 0, 0, 0, 0, 0, 0, 0]

  constructor(memory: Memory, journal: Journal, heap: Heap, roots: Roots) {
    this.#memory = memory
    this.#journal = journal
    this.#heap = heap
    this.#roots = roots
  }

  /** The position of the first timer's entry; 0 if there is none. */
  first(): number {
    let node = this.#roots.timerRoot
    for (let level = this.#roots.timerLevels; level > 1; level--) node = this.#below(node, 0)
    return node === 0 ? 0 : this.#below(node, 0)
  }

  /** Visits the entries in order, from the last one that is not above a rank, until the callback returns true. */
  until(dueMs: number, order: number, isEnough: (entry: number) => boolean): void {
    const { timerRoot, timerLevels } = this.#roots
    if (timerRoot !== 0) this.#untilBelow(timerRoot, timerLevels, rankOf(dueMs, order), isEnough)
  }

  #untilBelow(
    node: number,
    level: number,
    from: Rank | undefined,
    isEnough: (entry: number) => boolean,
  ): boolean {
    const count = this.#countOf(node)
    for (let place = from === undefined ? 0 : max(0, this.#placeOf(node, from)); place < count; place++) {
      const below = this.#below(node, place)
      if (level === 1 ? isEnough(below) : this.#untilBelow(below, level - 1, from, isEnough)) return true
      from = undefined
    }
    return false
  }

  /** The entries of all timers, in order. */
  list(): number[] {
    const entries: number[] = []
    if (this.#roots.timerRoot !== 0) this.#listBelow(this.#roots.timerRoot, this.#roots.timerLevels, entries)
    return entries
  }

  #listBelow(node: number, level: number, entries: number[]): void {
    const count = this.#countOf(node)
    for (let place = 0; place < count; place++) {
      if (level === 1) append(entries, this.#below(node, place))
      else this.#listBelow(this.#below(node, place), level - 1, entries)
    }
  }

  /** Adds an item that is not in the tree. @returns Whether there was room. */
  insert(dueMs: number, order: number, entry: number): boolean {
    const rank = rankOf(dueMs, order)
    const { timerLevels: levels } = this.#roots
    if (levels === 0) return this.#plant(rank, entry)
    this.#descend(rank)
    let splits = 0
    while (splits < levels && this.#countOf(this.#nodes[levels - 1 - splits]!) === nodeItems) splits++
    const fresh = this.#nodesFor(splits === levels ? splits + 1 : splits)
    if (fresh === undefined) return false
    if (!this.#heap.reserve((splits + 1) * 2 * nodeRoomWords)) return this.#giveBack(fresh)
    let below = entry
    let belowRank = rank
    for (let level = levels - 1; level >= 0; level--) {
      const node = this.#nodes[level]!
      const place = this.#places[level]! + 1
      if (this.#countOf(node) < nodeItems) {
        this.#put(node, place, belowRank, below)
        return true
      }
      const right = fresh[levels - 1 - level]!
      this.#split(node, right, place, belowRank, below, this.#isLast(level))
      below = right
      belowRank = this.#rankAt(right, 0)
    }
    this.#growRoot(fresh[levels]!, below, belowRank)
    return true
  }

  /** Removes an item that is in the tree. @returns Whether the journal had room. */
  remove(dueMs: number, order: number): boolean {
    const { timerLevels: levels } = this.#roots
    this.#descend(rankOf(dueMs, order))
    const scant = this.#countOf(this.#nodes[levels - 1]!) - 1 < scantItems
    if (!this.#heap.reserve((scant ? 2 * levels : 1) * nodeRoomWords)) return false
    for (let level = levels - 1; level >= 0; level--) {
      const node = this.#nodes[level]!
      this.#cut(node, this.#places[level]!)
      const count = this.#countOf(node)
      if (level === 0) break
      if (count === 0) {
        this.#heap.discard(node)
        continue
      }
      if (count >= scantItems || !this.#join(level)) break
    }
    this.#shrinkRoot()
    return true
  }

  /** Descends to the last item that is not above `rank`, or else to the first one. */
  #descend(rank: Rank): void {
    let node = this.#roots.timerRoot
    const { timerLevels: levels } = this.#roots
    for (let level = 0; level < levels; level++) {
      const leaf = level === levels - 1
      const place = this.#placeOf(node, rank)
      this.#nodes[level] = node
      this.#places[level] = leaf || place >= 0 ? place : 0
      if (!leaf) node = this.#below(node, this.#places[level]!)
    }
  }

  /** The index of the last item that is not above `rank`; −1 if there is none. */
  #placeOf(node: number, { dueHigh, dueLow, orderHigh, orderLow }: Rank): number {
    const words = this.#memory.words[node >> this.#memory.shift]!
    const at = (node & this.#memory.mask) + nodeHeadWords
    let low = 0
    let high = words[at - 1]!
    while (low < high) {
      const middle = (low + high) >> 1
      const item = at + middle * itemWords
      const above =
        words[item + 1]! - dueHigh ||
        (words[item]! >>> 0) - dueLow ||
        words[item + 3]! - orderHigh ||
        (words[item + 2]! >>> 0) - orderLow
      if (above > 0) high = middle
      else low = middle + 1
    }
    return low - 1
  }

  #plant(rank: Rank, entry: number): boolean {
    const fresh = this.#nodesFor(1)
    if (fresh === undefined) return false
    const root = fresh[0]!
    this.#write(root, 0, rank, entry)
    this.#memory.store(root + 1, 1)
    this.#setRoot(root, 1)
    return true
  }

  /** Allocates `count` nodes, or none. */
  #nodesFor(count: number): number[] | undefined {
    const nodes: number[] = []
    for (let i = 0; i < count; i++) {
      const node = this.#heap.allocate(nodeWords)
      if (node === 0) {
        this.#giveBack(nodes)
        return undefined
      }
      this.#memory.store(node + 1, 0)
      append(nodes, node)
    }
    return nodes
  }

  #giveBack(nodes: readonly number[]): false {
    for (let i = 0; i < nodes.length; i++) this.#heap.discard(nodes[i]!)
    return false
  }

  /**
   * Splits a full node and inserts an item: the upper half goes to `right`, or nothing if items are added in order.
   */
  #split(node: number, right: number, place: number, rank: Rank, below: number, last: boolean): void {
    const keep = last && place === nodeItems ? nodeItems : nodeItems / 2
    for (let i = keep; i < nodeItems; i++)
      this.#write(right, i - keep, this.#rankAt(node, i), this.#below(node, i))
    this.#memory.store(right + 1, nodeItems - keep)
    if (keep < nodeItems) {
      this.#journal.note(node + 1)
      this.#memory.store(node + 1, keep)
    }
    if (place > keep || keep === nodeItems) this.#put(right, place - keep, rank, below)
    else this.#put(node, place, rank, below)
  }

  /** Whether the node at `level` is the last one of its level. */
  #isLast(level: number): boolean {
    for (let i = 0; i < level; i++) if (this.#places[i] !== this.#countOf(this.#nodes[i]!) - 1) return false
    return true
  }

  #growRoot(root: number, right: number, rank: Rank): void {
    const left = this.#roots.timerRoot
    this.#write(root, 0, this.#rankAt(left, 0), left)
    this.#write(root, 1, rank, right)
    this.#memory.store(root + 1, 2)
    this.#setRoot(root, this.#roots.timerLevels + 1)
  }

  /** Removes a root with only one child, or with none. */
  #shrinkRoot(): void {
    let root = this.#roots.timerRoot
    let levels = this.#roots.timerLevels
    while (levels > 1 && this.#countOf(root) === 1) {
      const below = this.#below(root, 0)
      this.#heap.discard(root)
      root = below
      levels--
    }
    if (this.#countOf(root) === 0) {
      this.#heap.discard(root)
      root = levels = 0
    }
    if (root !== this.#roots.timerRoot) this.#setRoot(root, levels)
  }

  #setRoot(root: number, levels: number): void {
    this.#roots.timerRoot = root
    this.#roots.timerLevels = levels
    this.#roots.dirty = true
  }

  /**
   * Joins the node at `level` with a neighbour, if they fit. @returns Whether an item of the parent has to be
   * removed: its index is set.
   */
  #join(level: number): boolean {
    const above = this.#nodes[level - 1]!
    const place = this.#places[level - 1]!
    const right = place + 1 < this.#countOf(above) ? place + 1 : place
    if (right === 0) return false
    const to = this.#below(above, right - 1)
    const from = this.#below(above, right)
    const count = this.#countOf(to)
    const more = this.#countOf(from)
    if (count + more > joinedItemsMax) return false
    this.#journal.image(to + nodeHeadWords + count * itemWords, more * itemWords)
    // The first item of a node may have lost its bound (TT1); the parent's item still has it.
    for (let i = 0; i < more; i++) {
      const rank =
        i === 0 && level < this.#roots.timerLevels - 1 ? this.#rankAt(above, right) : this.#rankAt(from, i)
      this.#write(to, count + i, rank, this.#below(from, i))
    }
    this.#journal.note(to + 1)
    this.#memory.store(to + 1, count + more)
    this.#heap.discard(from)
    this.#places[level - 1] = right
    return true
  }

  /** Inserts an item at `place`; the node and the journal have room. */
  #put(node: number, place: number, rank: Rank, below: number): void {
    const count = this.#countOf(node)
    this.#journal.image(node + nodeHeadWords + place * itemWords, (count + 1 - place) * itemWords)
    const { words, at } = this.#itemsOf(node)
    const end = at + (count + 1) * itemWords
    for (let i = end - 1; i >= at + (place + 1) * itemWords; i--) words[i] = words[i - itemWords]!
    this.#write(node, place, rank, below)
    this.#journal.note(node + 1)
    this.#memory.store(node + 1, count + 1)
  }

  #cut(node: number, place: number): void {
    const count = this.#countOf(node)
    this.#journal.image(node + nodeHeadWords + place * itemWords, (count - 1 - place) * itemWords)
    const { words, at } = this.#itemsOf(node)
    const end = at + (count - 1) * itemWords
    for (let i = at + place * itemWords; i < end; i++) words[i] = words[i + itemWords]!
    this.#journal.note(node + 1)
    this.#memory.store(node + 1, count - 1)
  }

  #write(node: number, place: number, rank: Rank, below: number): void {
    const { words, at } = this.#itemsOf(node)
    const item = at + place * itemWords
    words[item] = rank.dueLow
    words[item + 1] = rank.dueHigh
    words[item + 2] = rank.orderLow
    words[item + 3] = rank.orderHigh
    words[item + 4] = below
  }

  #rankAt(node: number, place: number): Rank {
    const { words, at } = this.#itemsOf(node)
    const item = at + place * itemWords
    return {
      dueHigh: words[item + 1]!,
      dueLow: words[item]! >>> 0,
      orderHigh: words[item + 3]!,
      orderLow: words[item + 2]! >>> 0,
    }
  }

  #itemsOf(node: number): { readonly words: Int32Array; readonly at: number } {
    const { shift, mask } = this.#memory
    return { words: this.#memory.words[node >> shift]!, at: (node & mask) + nodeHeadWords }
  }

  #below(node: number, place: number): number {
    return this.#memory.load(node + nodeHeadWords + place * itemWords + 4)
  }

  #countOf(node: number): number {
    return this.#memory.load(node + 1)
  }
}
