/**
 * Testing: what the tests of this folder share: contents to compare, copies of slabs, and a run of transactions that
 * both ends of a test can make out of a number.
 * @module
 */
import type { Arena } from './arena.ts'
import { OwnSlabs, type Slabs } from './slabs.ts'

export type Contents = ReadonlyMap<string, string>

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** All that an arena holds, keys and values in hexadecimal, and its timers. */
export function contentsOf(arena: Arena): Contents {
  const contents = new Map<string, string>()
  arena.forEach((key, value) => {
    contents.set(hex(key), hex(value))
  })
  for (const { key, timeMs } of arena.timers.list()) contents.set(`timer ${key} ${timeMs}`, '')
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

/** `undefined` deletes. With a time it is that timer: set if there is a value. */
export interface Change {
  readonly key: string
  readonly value: Uint8Array<ArrayBuffer> | undefined
  readonly timeMs?: number
  /** The entry is never seen: it expires at once, and is swept at some time. */
  readonly expires?: boolean
}

const none = new Uint8Array(0)

/** What transaction `number` does: some changes of all kinds; now and then many, or a large value. */
export function transactionOf(number: number, keys: number): Change[] {
  const random = randomOf(number)
  const changes = random() % 64 === 0 ? 300 : 1 + (random() % 6)
  return Array.from({ length: changes }, () => {
    const key = `key ${random() % keys}`
    if (random() % 5 === 0)
      return {
        key: `timer ${random() % 5}`,
        value: random() % 3 === 0 ? undefined : none,
        timeMs: random() % 100,
      }
    if (random() % 4 === 0) return { key, value: undefined }
    if (random() % 8 === 0) return { key, value: new Uint8Array(random() % 80), expires: true }
    const length = random() % 100 === 0 ? random() % 40_000 : random() % 80
    return { key, value: new Uint8Array(length).fill(number) }
  })
}

export function applyTo(arena: Arena, changes: readonly Change[]): void {
  for (const { key, value, timeMs, expires } of changes) {
    if (timeMs !== undefined) {
      if (value === undefined) arena.timers.delete(key, timeMs)
      else arena.timers.set(key, timeMs, timeMs, arena.timers.orderNext)
    } else if (value === undefined) arena.delete(key)
    else if (expires === true) arena.set(key, value, 0)
    else arena.set(key, value)
  }
  if (changes.some(({ expires }) => expires)) arena.expire(100)
}

export function applyToModel(model: Map<string, string>, changes: readonly Change[]): void {
  for (const { key, value, timeMs, expires } of changes) {
    const name = timeMs === undefined ? hex(new TextEncoder().encode(key)) : `timer ${key} ${timeMs}`
    if (value === undefined || expires === true) model.delete(name)
    else model.set(name, hex(value))
  }
}
