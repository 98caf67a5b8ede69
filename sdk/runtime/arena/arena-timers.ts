/**
 * ArenaTimers: the timers of an arena. Each timer is an entry of the index (timer-entry.ts), by which it is found,
 * and an item of a tree in order of time (timer-tree.ts). Both change in the arena's transaction.
 * @module
 */
import type { Data } from '../../function.ts'
import { append } from '../realm/primordials.ts'
import { utf8Read } from '../realm/utf8.ts'
import type { Share } from '../records/share.ts'
import { type Part, partKind } from './entry.ts'
import type { DueTimer, Seen, TimerSet } from './keyed-state.ts'
import type { Memory } from './memory.ts'
import type { Roots } from './roots.ts'
import { timerIn, timerKey } from './timer-entry.ts'
import type { TimerTree } from './timer-tree.ts'

/** A time at which no timer is due. */
const unknown = Number.NEGATIVE_INFINITY
const noTimer = { dueMs: Number.POSITIVE_INFINITY, order: 0 }

/** The operations of an arena that its timers use. */
export interface TimerEntries {
  /** The position of an entry; 0 if there is none. */
  find(key: Data, part: Part): number
  /** Makes an entry with two numbers, under the key that `find` did not find. @returns Its position. */
  add(one: number, other: number): number
  /** Removes the entry that `find` found. The journal has room: `reserve` always leaves some. */
  remove(): void
  full(attempted: string): Error
}

export interface ArenaTimer {
  readonly key: string
  readonly timeMs: number
  readonly dueMs: number
  readonly order: number
}

export class ArenaTimers implements TimerSet {
  readonly #memory: Memory
  readonly #roots: Roots
  readonly #tree: TimerTree
  readonly #entries: TimerEntries
  /** When the first timer is due, unless it is `unknown`. */
  #dueMs = unknown
  #order = 0

  constructor(memory: Memory, roots: Roots, tree: TimerTree, entries: TimerEntries) {
    this.#memory = memory
    this.#roots = roots
    this.#tree = tree
    this.#entries = entries
  }

  get count(): number {
    return this.#roots.timers
  }

  get dueMs(): number {
    this.#lookAtFirst()
    return this.#dueMs
  }

  get order(): number {
    this.#lookAtFirst()
    return this.#order
  }

  get orderNext(): number {
    return this.#roots.timerOrder
  }

  set(key: string, timeMs: number, dueMs: number, order: number): boolean {
    const part = { kind: partKind.timer, number: timeMs }
    if (this.#entries.find(key, part) !== 0) return false
    const entry = this.#entries.add(dueMs, order)
    if (!this.#tree.insert(dueMs, order, entry)) {
      this.#entries.find(key, part)
      this.#entries.remove()
      throw this.#entries.full('set a timer')
    }
    this.#roots.timers++
    this.#roots.timerOrder = order + 1
    this.forget()
    return true
  }

  delete(key: Data, timeMs: number): boolean {
    const entry = this.#entries.find(key, { kind: partKind.timer, number: timeMs })
    if (entry === 0) return false
    const { dueMs, order } = timerIn(this.#wordsOf(entry), entry & this.#memory.mask)
    if (!this.#tree.remove(dueMs, order)) throw this.#entries.full('delete a timer')
    this.#entries.remove()
    this.#roots.timers--
    this.forget()
    return true
  }

  take(): { readonly key: string; readonly timeMs: number } | undefined {
    const entry = this.#tree.first()
    if (entry === 0) return undefined
    const { key, timeMs } = timerKey(this.#wordsOf(entry), entry & this.#memory.mask)
    this.delete(key, timeMs)
    return { key: utf8Read(key), timeMs }
  }

  firstOf(nowMs: number, orderEnd: number, share: Share, seen: Seen): DueTimer | undefined {
    let found: DueTimer | undefined
    if (seen.left <= 0) return undefined
    this.#tree.until(seen.dueMs, seen.order, (entry) => {
      const words = this.#wordsOf(entry)
      const at = entry & this.#memory.mask
      const { dueMs, order } = timerIn(words, at)
      if (dueMs > nowMs) return true
      const { key, timeMs } = timerKey(words, at)
      if (order >= orderEnd || !share.hasKey(key, key.length)) {
        seen.dueMs = dueMs
        seen.order = order
        return --seen.left <= 0
      }
      found = { key: utf8Read(key), timeMs, dueMs, order }
      return true
    })
    return found
  }

  /** All timers, the earliest first. */
  list(): ArenaTimer[] {
    const timers: ArenaTimer[] = []
    const entries = this.#tree.list()
    for (let i = 0; i < entries.length; i++) {
      const words = this.#wordsOf(entries[i]!)
      const at = entries[i]! & this.#memory.mask
      const { key, timeMs } = timerKey(words, at)
      const { dueMs, order } = timerIn(words, at)
      append(timers, { key: utf8Read(key), timeMs, dueMs, order })
    }
    return timers
  }

  /** Forgets which timer is the first. */
  forget(): void {
    this.#dueMs = unknown
  }

  #lookAtFirst(): void {
    if (this.#dueMs !== unknown) return
    const entry = this.#tree.first()
    const first = entry === 0 ? noTimer : timerIn(this.#wordsOf(entry), entry & this.#memory.mask)
    this.#dueMs = first.dueMs
    this.#order = first.order
  }

  #wordsOf(position: number): Int32Array {
    return this.#memory.words[position >> this.#memory.shift]!
  }
}
