/**
 * BareState: the state of a function as one keeps it in a program of one's own: objects in Maps. Nothing is encoded, undone,
 * bounded or forgotten in time.
 * @module
 */
import type { Counter, Data, Kept, List, State, Value, WindowShape, Windows } from '../../../sdk/index.ts'

export class BareState implements State {
  readonly #entries = new Map<string, unknown>()
  readonly #counters = new Map<string, number>()
  readonly #lists = new Map<string, BareList<unknown>>()
  readonly #windows = new Map<string, BareWindows>()

  getState(key: Data): Uint8Array | undefined {
    return this.#entries.get(keyText(key)) as Uint8Array | undefined
  }

  setState(key: Data, value: Data): void {
    this.#entries.set(keyText(key), value)
  }

  deleteState(key: Data): boolean {
    return this.#entries.delete(keyText(key))
  }

  getJson<T>(key: Data): T | undefined {
    return this.#entries.get(keyText(key)) as T | undefined
  }

  setJson(key: Data, value: unknown): void {
    this.#entries.set(keyText(key), value)
  }

  *keys(of?: 'state' | 'counter'): IterableIterator<Uint8Array> {
    for (const key of this.keyTexts(of)) yield Buffer.from(key)
  }

  keyTexts(of: 'state' | 'counter' = 'state'): IterableIterator<string> {
    return of === 'state' ? this.#entries.keys() : this.#counters.keys()
  }

  counter(name: Data): Counter {
    const counters = this.#counters
    const key = keyText(name)
    const set = (to: number): number => {
      counters.set(key, to)
      return to
    }
    return {
      get: () => counters.get(key) ?? 0,
      add: (by = 1) => set((counters.get(key) ?? 0) + by),
      set: (to) => void set(to),
      delete: () => counters.delete(key),
    }
  }

  value<T extends Kept<T>>(key: Data): Value<T> {
    return {
      get: () => this.getJson<T>(key),
      set: (value) => this.setJson(key, value),
      delete: () => this.deleteState(key),
    }
  }

  list<T extends Kept<T>>(key: Data): List<T> {
    return madeIn(this.#lists, key, () => new BareList()) as BareList<T>
  }

  windows(key: Data, shape: WindowShape): Windows {
    return madeIn(this.#windows, key, () => new BareWindows(shape))
  }
}

class BareList<T> implements List<T> {
  #items: T[] = []
  /** Items in front that are gone: shifting a long array would move all of it. */
  #gone = 0

  get length(): number {
    return this.#items.length - this.#gone
  }

  push(item: T): number {
    this.#items.push(item)
    return this.length
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#items[this.#gone++]
    if (2 * this.#gone > this.#items.length) {
      this.#items = this.#items.slice(this.#gone)
      this.#gone = 0
    }
    return item
  }

  at(index: number): T | undefined {
    return index < 0 ? this.items().at(index) : this.#items[this.#gone + index]
  }

  items(): T[] {
    return this.#items.slice(this.#gone)
  }

  clear(): void {
    this.#items = []
    this.#gone = 0
  }
}

/** Sums by pane: the pieces, `every` long, that windows consist of. */
class BareWindows implements Windows {
  readonly #size: number
  readonly #every: number
  readonly #panes = new Map<number, number>()

  constructor({ size, every = size }: WindowShape) {
    this.#size = size
    this.#every = every
  }

  of(at: number): number[] {
    const last = this.#paneOf(at)
    const count = this.#size / this.#every
    return Array.from({ length: count }, (_, i) => last - (count - 1 - i) * this.#every)
  }

  ended(since: number, until: number): number[] {
    return this.of(since).filter((start) => start + this.#size <= until)
  }

  add(at: number, by = 1): number {
    const pane = this.#paneOf(at)
    const sum = (this.#panes.get(pane) ?? 0) + by
    this.#panes.set(pane, sum)
    return sum
  }

  sum(start: number): number {
    let sum = 0
    for (let pane = start; pane < start + this.#size; pane += this.#every) sum += this.#panes.get(pane) ?? 0
    return sum
  }

  sumUntil(at: number): number {
    return this.sum(this.#paneOf(at) - this.#size + this.#every)
  }

  close(start: number): number {
    const sum = this.sum(start)
    this.#panes.delete(start)
    return sum
  }

  #paneOf(at: number): number {
    return Math.floor(at / this.#every) * this.#every
  }
}

function madeIn<T>(map: Map<string, T>, key: Data, make: () => T): T {
  const name = keyText(key)
  const known = map.get(name)
  if (known !== undefined) return known
  const made = make()
  map.set(name, made)
  return made
}

export function keyText(key: Data): string {
  return typeof key === 'string' ? key : Buffer.from(key.buffer, key.byteOffset, key.length).toString('utf8')
}
