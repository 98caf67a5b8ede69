/**
 * The two stores that `state` compares, behind one interface, and the keys and orders in which they are asked.
 * @module
 */
import { OwnSlabs, openArena } from '../../../sdk/runtime/arena/index.ts'
import { latin1 } from '../../../sdk/runtime/realm/latin1.ts'
import { randomSource } from './workload.ts'

export interface Store {
  get(key: Uint8Array): Uint8Array | undefined
  set(key: Uint8Array, value: Uint8Array): void
  commit(): void
}

/** An arena in shared memory, as in a runner; every operation is followed by its commit. */
export function arenaStore(clock = { nowMs: 0 }) {
  return openArena(new OwnSlabs({ make: (bytes) => new SharedArrayBuffer(bytes) }), { clock })
}

/** What one would write: a Map of strings to bytes. It keeps no journal and undoes nothing. */
export class MapStore implements Store {
  readonly #map = new Map<string, Uint8Array>()

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#map.get(latin1(key))
    return value === undefined ? undefined : new Uint8Array(value)
  }

  set(key: Uint8Array, value: Uint8Array): void {
    this.#map.set(latin1(key), new Uint8Array(value))
  }

  commit(): void {}
}

const keyBytes = 16
const key = new Uint8Array(keyBytes)

/** Key `number`: as records come, in one and the same view. */
export function keyOf(number: number): Uint8Array {
  for (let i = 0; i < keyBytes; i++) key[i] = (number >>> ((i & 3) * 8)) ^ (i * 37)
  return key
}

/** Numbers of keys, each as likely as any other. */
export function scattered(keys: number, operations: number): Uint32Array {
  const random = randomSource(1)
  return Uint32Array.from({ length: operations }, () => Math.floor(random() * keys))
}

export function fill(store: Store, keys: number, value: Uint8Array): void {
  for (let i = 0; i < keys; i++) {
    value[0] = i
    store.set(keyOf(i), value)
    store.commit()
  }
}
