/**
 * JsonMemo: what JSON in state was parsed to, so that a value that is read often and seldom changes is parsed once. To copy a small
 * object costs a tenth of parsing it.
 *
 *   JM1. An answer is what JSON.parse makes of the bytes that are stored: all of them are compared with those that were parsed. So
 *        what changes, undoes or moves state need not tell.
 *   JM2. Callers may change what they get: it is theirs. Only values that hold no objects are kept; their copies take one step.
 *   JM3. What is kept is bounded, and nothing is kept of a value that is read once before it changes.
 * @module
 */
import { append, fromJson } from '../realm/primordials.ts'
import { readText, wordsFor } from './entry.ts'
import { Words } from './memory.ts'

const { imul } = Math
const { isArray } = Array

const slots = 256
const wordsEach = 64

interface Kept {
  readonly length: number
  readonly value: unknown
}

export class JsonMemo {
  readonly #kept: (Kept | undefined)[] = []
  /** The bytes that were parsed, `wordsEach` for a slot. */
  readonly #bytes = new Words(slots * wordsEach)
  /** A sum over what was read last at a slot, and not kept. */
  readonly #sums = new Words(slots)

  constructor() {
    for (let slot = 0; slot < slots; slot++) append<Kept | undefined>(this.#kept, undefined) // no gaps
  }

  /**
   * The value whose JSON is the `length` bytes from a word on.
   * @param near A number that picks its slot: equal for reads of one entry, most often others for others.
   */
  parse(words: Int32Array, at: number, length: number, isAscii: boolean, near: number): unknown {
    if (length > wordsEach * 4) return fromJson(readText(words, at, length, isAscii))
    const slot = near & (slots - 1)
    const kept = this.#kept[slot]
    if (kept !== undefined && kept.length === length && this.#holds(slot, words, at, length))
      return copyOf(kept.value)
    const value: unknown = fromJson(readText(words, at, length, isAscii))
    const sum = sumOf(words, at, length, near)
    if (this.#sums[slot] === sum && isFlat(value))
      this.#keep(slot, words, at, { length, value: copyOf(value) })
    this.#sums[slot] = sum
    return value
  }

  /** A slot whose bytes change has no value: this may end anywhere. */
  #keep(slot: number, words: Int32Array, at: number, kept: Kept): void {
    this.#kept[slot] = undefined
    const bytes = this.#bytes
    const to = slot * wordsEach
    for (let i = wordsFor(kept.length) - 1; i >= 0; i--) bytes[to + i] = words[at + i]!
    this.#kept[slot] = kept
  }

  #holds(slot: number, words: Int32Array, at: number, length: number): boolean {
    const bytes = this.#bytes
    const from = slot * wordsEach
    const whole = length >> 2
    for (let i = 0; i < whole; i++) if (bytes[from + i] !== words[at + i]) return false
    const rest = (length & 3) << 3
    return rest === 0 || ((bytes[from + whole]! ^ words[at + whole]!) & ((1 << rest) - 1)) === 0
  }
}

function sumOf(words: Int32Array, at: number, length: number, near: number): number {
  let sum = near ^ length
  for (let i = at, end = at + (length >> 2); i < end; i++) sum = (imul(sum, 31) + words[i]!) | 0
  return sum
}

/** Whether there are no objects in it. */
function isFlat(value: unknown): boolean {
  if (!isObject(value)) return true
  if (isArray(value)) {
    for (let i = 0; i < value.length; i++) if (isObject(value[i])) return false // `in` would make each index a string
    return true
  }
  for (const key in value) if (isObject((value as Record<string, unknown>)[key])) return false
  return true
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** A copy of what is flat. */
function copyOf(value: unknown): unknown {
  if (!isObject(value)) return value
  return isArray(value) ? [...value] : { ...value }
}
