/**
 * KeyedState: the state of one partition, with an undo journal; and MapState, which keeps it in a plain Map.
 *
 *   K1. What `get` answers and what `set` takes are copies: nobody else holds bytes that are stored here.
 *   K2. `rollback` restores what was there at the last `commit` or `rollback`, exactly.
 *
 * An arena outside the heap will stand behind the same interface.
 * @module
 */
import type { Data } from '../function.ts'
import { notData } from './outcome-writer.ts'
import { Bytes, stringOf } from './primordials.ts'
import { utf8Encode } from './utf8.ts'

export interface KeyedState {
  get(key: Data): Uint8Array<ArrayBuffer> | undefined
  set(key: Data, value: Data): void
  /** @returns Whether there was something to delete. */
  delete(key: Data): boolean
  commit(): void
  rollback(): void
  readonly entries: number
  /** Bytes of keys and values. */
  readonly bytes: number
}

export class MapState implements KeyedState {
  readonly #map = new Map<string, Uint8Array<ArrayBuffer>>()
  #bytes = 0
  /** The journal: what each key held before. */
  #changes = 0
  readonly #changedKeys: string[] = []
  readonly #oldValues: (Uint8Array<ArrayBuffer> | undefined)[] = []

  get entries(): number {
    return this.#map.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: Data): Uint8Array<ArrayBuffer> | undefined {
    const stored = this.#map.get(keyString('getState', key))
    return stored === undefined ? undefined : copyOf(stored)
  }

  set(key: Data, value: Data): void {
    const bytes = typeof value === 'string' ? utf8Encode(value) : copyOf(checked('setState', 'value', value))
    this.#replace(keyString('setState', key), bytes)
  }

  delete(key: Data): boolean {
    const name = keyString('deleteState', key)
    if (!this.#map.has(name)) return false
    this.#replace(name, undefined)
    return true
  }

  commit(): void {
    // The arrays keep their length, so that they do not grow anew for each record; what they hold is let go.
    for (let i = 0; i < this.#changes; i++) this.#oldValues[i] = undefined
    this.#changes = 0
  }

  rollback(): void {
    while (this.#changes > 0) {
      const i = --this.#changes
      this.#store(this.#changedKeys[i]!, this.#map.get(this.#changedKeys[i]!), this.#oldValues[i])
      this.#oldValues[i] = undefined
    }
  }

  #replace(key: string, value: Uint8Array<ArrayBuffer> | undefined): void {
    const old = this.#map.get(key)
    const i = this.#changes++
    this.#changedKeys[i] = key
    this.#oldValues[i] = old
    this.#store(key, old, value)
  }

  #store(key: string, old: Uint8Array | undefined, value: Uint8Array<ArrayBuffer> | undefined): void {
    if (old !== undefined) this.#bytes -= key.length + old.length
    if (value === undefined) {
      this.#map.delete(key)
      return
    }
    this.#bytes += key.length + value.length
    this.#map.set(key, value)
  }
}

function checked(attempted: string, what: string, data: unknown): Uint8Array {
  if (!(data instanceof Bytes)) throw notData(attempted, what, data)
  return data
}

function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Bytes(bytes)
}

/** The bytes of a key as a string, a character for a byte; text stands for its UTF-8. */
export function keyString(attempted: string, key: Data): string {
  if (typeof key !== 'string') return latin1(checked(attempted, 'key', key))
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) > 0x7f) return latin1(utf8Encode(key))
  return key
}

const chunkBytes = 2048

function latin1(bytes: Uint8Array): string {
  if (bytes.length <= chunkBytes) return stringOf(bytes)
  let text = ''
  for (let at = 0; at < bytes.length; at += chunkBytes) text += stringOf(bytes.subarray(at, at + chunkBytes))
  return text
}
