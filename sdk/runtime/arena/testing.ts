/**
 * Testing: what the tests of this folder share: contents to compare, copies of slabs, and a run of transactions that
 * both ends of a test can make out of a number.
 * @module
 */
import type { Arena } from './arena.ts'
import { OwnSlabs, type Slabs } from './slabs.ts'

export type Contents = ReadonlyMap<string, string>

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** All that an arena holds, keys and values in hexadecimal. */
export function contentsOf(arena: Arena): Contents {
  const contents = new Map<string, string>()
  arena.forEach((key, value) => {
    contents.set(hex(key), hex(value))
  })
  return contents
}

/** Slabs with the same bytes, as somebody would find them who came in this moment. */
export function copyOf(slabs: Slabs): OwnSlabs {
  let index = 0
  const copy = new OwnSlabs({
    slabBytes: slabs.slabBytes,
    make: (bytes) => slabs.get(index)?.slice(0) ?? new ArrayBuffer(bytes),
  })
  for (; index < slabs.count; index++) copy.grow(0)
  return copy
}

/** A generator of numbers below 2³²; the same seed, the same numbers. */
export function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/** `undefined` deletes. */
export interface Change {
  readonly key: string
  readonly value: Uint8Array<ArrayBuffer> | undefined
}

/** What transaction `number` does: some changes of all kinds; now and then many, or a large value. */
export function transactionOf(number: number, keys: number): Change[] {
  const random = randomOf(number)
  const changes = random() % 64 === 0 ? 300 : 1 + (random() % 6)
  return Array.from({ length: changes }, () => {
    const key = `key ${random() % keys}`
    if (random() % 4 === 0) return { key, value: undefined }
    const length = random() % 100 === 0 ? random() % 40_000 : random() % 80
    return { key, value: new Uint8Array(length).fill(number) }
  })
}

export function applyTo(arena: Arena, changes: readonly Change[]): void {
  for (const { key, value } of changes) {
    if (value === undefined) arena.delete(key)
    else arena.set(key, value)
  }
}

export function applyToModel(model: Map<string, string>, changes: readonly Change[]): void {
  for (const { key, value } of changes) {
    const name = hex(new TextEncoder().encode(key))
    if (value === undefined) model.delete(name)
    else model.set(name, hex(value))
  }
}
