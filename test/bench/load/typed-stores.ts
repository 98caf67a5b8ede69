/**
 * What `typed` compares, behind one interface: the helpers for state on an arena, and what one would write with Maps.
 * @module
 */

import { Timers } from '../../../sdk/runtime/state/timers.ts'
import { StateList } from '../../../sdk/runtime/state/typed-state.ts'
import { StateWindows } from '../../../sdk/runtime/state/windows.ts'
import { arenaStore } from './stores.ts'

export const sliding = { size: 10_000, every: 1000 }
export const tumbling = { size: 10_000 }

export interface TypedStore {
  /** Adds 1 to the window at a time. */
  add(key: string, shape: typeof sliding | typeof tumbling, at: number): void
  /** The sum of the window that starts at a time. */
  sum(key: string, shape: typeof sliding | typeof tumbling, start: number): number
  push(key: string, item: number): void
  shift(key: string): number | undefined
  setTimer(key: string, timeMs: number): void
  deleteTimer(key: string, timeMs: number): void
  /** The first timer that is due. */
  takeTimer(nowMs: number): string | undefined
  lend(key: string, value: Uint8Array, untilMs: number): void
  /** Removes what has expired. @returns How much there was. */
  expire(nowMs: number): number
  /** The number of keys that were lent, one after another. */
  count(): number
  /** Ends a record. */
  commit(): void
}

/** On an arena in shared memory; every operation is followed by its commit. */
export class ArenaTypedStore implements TypedStore {
  readonly #clock = { nowMs: 0 }
  readonly #arena = arenaStore(this.#clock)
  readonly #timers = new Timers([this.#arena])
  readonly #ground = { state: () => this.#arena, nowMs: 0 }

  add(key: string, shape: typeof sliding | typeof tumbling, at: number): void {
    new StateWindows(this.#ground, key, shape).add(at)
  }

  sum(key: string, shape: typeof sliding | typeof tumbling, start: number): number {
    return new StateWindows(this.#ground, key, shape).sum(start)
  }

  push(key: string, item: number): void {
    new StateList<number>(this.#ground, key, {}).push(item)
  }

  shift(key: string): number | undefined {
    return new StateList<number>(this.#ground, key, {}).shift()
  }

  setTimer(key: string, timeMs: number): void {
    this.#timers.set(this.#arena, key, timeMs, 0)
  }

  deleteTimer(key: string, timeMs: number): void {
    this.#arena.timers.delete(key, timeMs)
  }

  takeTimer(nowMs: number): string | undefined {
    return this.#timers.takeDue(nowMs, this.#timers.orderNext)?.key
  }

  lend(key: string, value: Uint8Array, untilMs: number): void {
    this.#arena.set(key, value, untilMs)
  }

  expire(nowMs: number): number {
    const before = this.#arena.entries
    this.#clock.nowMs = nowMs
    while (this.#arena.nextExpiryMs <= this.#clock.nowMs) {
      this.#arena.expire(1024)
      this.#arena.commit()
    }
    return before - this.#arena.entries
  }

  count(): number {
    let count = 0
    for (const key of this.#arena.keys()) count += key.length > 0 ? 1 : 0
    return count
  }

  commit(): void {
    this.#arena.commit()
  }
}

interface Timer {
  readonly key: string
  readonly timeMs: number
  isSet: boolean
}

/** Maps, and a heap of timers in an array. They keep no journal, undo nothing, and are gone with their isolate. */
export class MapTypedStore implements TypedStore {
  readonly #windows = new Map<string, Map<number, number>>()
  readonly #lists = new Map<string, number[]>()
  readonly #lent = new Map<string, { readonly value: Uint8Array; readonly untilMs: number }>()
  readonly #timers = new Map<string, Timer>()
  readonly #heap: Timer[] = []

  add(key: string, { size, every = size }: { size: number; every?: number }, at: number): void {
    let windows = this.#windows.get(key)
    if (windows === undefined) {
      windows = new Map()
      this.#windows.set(key, windows)
    }
    const bucket = Math.floor(at / every)
    windows.set(bucket, (windows.get(bucket) ?? 0) + 1)
  }

  sum(key: string, { size, every = size }: { size: number; every?: number }, start: number): number {
    const windows = this.#windows.get(key)
    let sum = 0
    const end = (start + size) / every
    for (let bucket = Math.floor(start / every); bucket < end; bucket++) sum += windows?.get(bucket) ?? 0
    return sum
  }

  push(key: string, item: number): void {
    const list = this.#lists.get(key)
    if (list === undefined) this.#lists.set(key, [item])
    else list.push(item)
  }

  shift(key: string): number | undefined {
    return this.#lists.get(key)?.shift()
  }

  setTimer(key: string, timeMs: number): void {
    const id = `${key} ${timeMs}`
    if (this.#timers.has(id)) return
    const timer = { key, timeMs, isSet: true }
    this.#timers.set(id, timer)
    const heap = this.#heap
    let at = heap.push(timer) - 1
    for (let above = (at - 1) >> 1; at > 0 && heap[above]!.timeMs > timeMs; above = (at - 1) >> 1) {
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = timer
  }

  deleteTimer(key: string, timeMs: number): void {
    const id = `${key} ${timeMs}`
    const timer = this.#timers.get(id)
    if (timer === undefined) return
    timer.isSet = false // it leaves the heap when it is due
    this.#timers.delete(id)
  }

  takeTimer(nowMs: number): string | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || first.timeMs > nowMs) return undefined
      this.#removeFirst()
      if (!first.isSet) continue
      this.#timers.delete(`${first.key} ${first.timeMs}`)
      return first.key
    }
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      if (below + 1 < heap.length && heap[below + 1]!.timeMs < heap[below]!.timeMs) below++
      if (heap[below]!.timeMs >= last.timeMs) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
  }

  lend(key: string, value: Uint8Array, untilMs: number): void {
    this.#lent.set(key, { value: new Uint8Array(value), untilMs })
  }

  expire(nowMs: number): number {
    let expired = 0
    for (const [key, { untilMs }] of this.#lent)
      if (untilMs <= nowMs) {
        this.#lent.delete(key)
        expired++
      }
    return expired
  }

  count(): number {
    let count = 0
    for (const key of this.#lent.keys()) count += key.length > 0 ? 1 : 0
    return count
  }

  commit(): void {}
}
