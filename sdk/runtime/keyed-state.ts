/**
 * KeyedState: the state of one partition, with an undo journal; and MapState, which keeps it in a plain Map.
 *
 *   K1. What is stored is nobody else's: `get` answers copies, `set` takes them.
 *   K2. `rollback` restores what was there at the last `commit` or `rollback`, exactly.
 *
 * On the platform an arena outside the heap stands behind the interface (arena/); MapState serves the test kit, and the
 * arena's tests as the model to be equal to.
 * @module
 */
import type { Data } from '../function.ts'
import { latin1 } from './latin1.ts'
import { notData } from './outcome-writer.ts'
import { Bytes, copyBytes, lengthOf } from './primordials.ts'
import { utf8Encode, utf8Length, utf8Read } from './utf8.ts'

export interface KeyedState {
  get(key: Data): Uint8Array<ArrayBuffer> | undefined
  /** The same as UTF-8 text. */
  getText(key: Data): string | undefined
  set(key: Data, value: Data): void
  /** @returns Whether there was something to delete. */
  delete(key: Data): boolean
  commit(): void
  rollback(): void
  /** Between transactions, at a batch's end: what decides whether one is committed may start anew. */
  rest(): void
  readonly entries: number
  /** Bytes of keys and values. */
  readonly bytes: number
}

/** Text is kept as text: JSON is then neither encoded nor decoded. */
type Value = Uint8Array<ArrayBuffer> | string

/** Bytes up to here are overwritten in place by as many others, so that a counter makes no garbage that was stored. */
const inPlaceMax = 256

interface Entry {
  readonly key: string
  /** Undefined: there is none. Such an entry leaves the map at the commit. */
  value: Value | undefined
}

export class MapState implements KeyedState {
  readonly #map = new Map<string, Entry>()
  #entries = 0
  #bytes = 0
  /** The entry asked for last: a callback that gets and sets looks it up once. */
  #last: Entry | undefined
  /** The journal: entries that were changed, and what each held before. */
  #changes = 0
  readonly #changed: (Entry | undefined)[] = []
  readonly #before: (Value | undefined)[] = []
  /** Of entries that were overwritten in place: the end of their old bytes in `#old`, else 0. */
  readonly #beforeEnd: number[] = []
  #old = new Bytes(1024)
  #oldUsed = 0

  get entries(): number {
    return this.#entries
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: Data): Uint8Array<ArrayBuffer> | undefined {
    const value = this.#find(keyString('getState', key))?.value
    if (value === undefined) return undefined
    return typeof value === 'string' ? utf8Encode(value) : new Bytes(value)
  }

  getText(key: Data): string | undefined {
    const value = this.#find(keyString('getState', key))?.value
    return value === undefined || typeof value === 'string' ? value : utf8Read(value)
  }

  set(key: Data, value: Data): void {
    const name = keyString('setState', key)
    const entry = this.#find(name)
    if (typeof value === 'string') {
      this.#change(entry ?? this.#add(name), ownText(value))
      return
    }
    const bytes = checked('setState', 'value', value)
    const stored = entry?.value
    if (typeof stored === 'object' && stored.length <= inPlaceMax && stored.length === lengthOf(bytes)) {
      this.#overwrite(entry!, stored, bytes)
      return
    }
    const copy = new Bytes(bytes)
    this.#change(entry ?? this.#add(name), copy)
  }

  delete(key: Data): boolean {
    const entry = this.#find(keyString('deleteState', key))
    if (entry?.value === undefined) return false
    this.#change(entry, undefined)
    return true
  }

  commit(): void {
    for (let i = 0; i < this.#changes; i++) {
      const entry = this.#changed[i]!
      if (entry.value === undefined) this.#remove(entry)
      this.#changed[i] = this.#before[i] = undefined
    }
    this.#changes = this.#oldUsed = 0
  }

  rollback(): void {
    for (let i = this.#changes - 1; i >= 0; i--) {
      const entry = this.#changed[i]!
      const oldEnd = this.#beforeEnd[i]!
      if (oldEnd > 0) this.#writeBack(entry.value as Uint8Array, oldEnd)
      else this.#store(entry, this.#before[i])
    }
    this.commit() // what was not there before leaves the map
  }

  rest(): void {
    // There is nothing that a successor would read.
  }

  #find(key: string): Entry | undefined {
    if (this.#last?.key === key) return this.#last
    const entry = this.#map.get(key)
    if (entry !== undefined) this.#last = entry
    return entry
  }

  #add(key: string): Entry {
    const entry: Entry = { key, value: undefined }
    this.#map.set(key, entry)
    this.#last = entry
    return entry
  }

  #remove(entry: Entry): void {
    this.#map.delete(entry.key)
    this.#last = undefined
  }

  #change(entry: Entry, value: Value | undefined): void {
    const i = this.#changes++
    this.#changed[i] = entry
    this.#before[i] = entry.value
    this.#beforeEnd[i] = 0
    this.#store(entry, value)
  }

  #overwrite(entry: Entry, stored: Uint8Array, value: Uint8Array): void {
    const length = stored.length
    const oldAt = this.#oldUsed
    if (length === 0) return
    if (oldAt + length > this.#old.length) this.#growOld()
    const old = this.#old
    for (let i = 0; i < length; i++) {
      old[oldAt + i] = stored[i]!
      stored[i] = value[i]!
    }
    this.#oldUsed = oldAt + length
    const change = this.#changes++
    this.#changed[change] = entry
    this.#beforeEnd[change] = this.#oldUsed
  }

  #writeBack(stored: Uint8Array, oldEnd: number): void {
    const oldAt = oldEnd - stored.length
    for (let i = 0; i < stored.length; i++) stored[i] = this.#old[oldAt + i]!
  }

  #growOld(): void {
    const grown = new Bytes(2 * this.#old.length)
    copyBytes(grown, this.#old, 0)
    this.#old = grown
  }

  #store(entry: Entry, value: Value | undefined): void {
    const was = entry.value
    if (was !== undefined) {
      this.#entries--
      this.#bytes -= entry.key.length + bytesIn(was)
    }
    if (value !== undefined) {
      this.#entries++
      this.#bytes += entry.key.length + bytesIn(value)
    }
    entry.value = value
  }
}

function bytesIn(value: Value): number {
  return typeof value === 'string' ? utf8Length(value) : value.length
}

/** A slice of a text would keep the whole alive: joining writes it out. */
function ownText(text: string): string {
  return [text.toWellFormed(), ''].join('')
}

function checked(attempted: string, what: string, data: unknown): Uint8Array {
  if (!(data instanceof Bytes)) throw notData(attempted, what, data)
  return data
}

/** The bytes of a key as a string, a character for a byte; text stands for its UTF-8. */
function keyString(attempted: string, key: Data): string {
  if (typeof key !== 'string') return latin1(checked(attempted, 'key', key))
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) > 0x7f) return latin1(utf8Encode(key))
  return key
}
