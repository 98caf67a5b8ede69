/**
 * Staging: a key or a value on its way into an arena, as words of private memory.
 *
 * Arguments are read only here, before anything is changed: an object that pretends to be a Uint8Array may run the
 * author's code at every element, and that code may use the arena.
 *   G1. The words contain the bytes and, in the last word, zeros after them.
 * @module
 */
import type { Data } from '../../function.ts'
import { notData } from '../errors.ts'
import { Bytes, copyBytes, Memory } from '../realm/primordials.ts'
import { utf8Write } from '../realm/utf8.ts'
import { copiedByWordsMax, putAscii, putBytes } from '../realm/words.ts'
import { markedBytes, type Part } from './entry.ts'
import { arenaError } from './errors.ts'
import { Words } from './memory.ts'

/**
 * The buffer that is kept, as large as was needed before, up to this size. An idle instance would hold more for
 * nothing.
 */
const keptBytesMin = 1024
const keptBytesMax = 80 * 1024
/** Room for a part, and for zeros. */
const partRoomBytes = 16
/** The most bytes of UTF-8 for a UTF-16 unit. */
const unitBytes = 3

const numbers = new Float64Array(1)
const numberWords = new Words(numbers.buffer)
const numberBytes = new Bytes(numbers.buffer)

export class Staging {
  #kept = roomOf(keptBytesMin)
  words: Int32Array = this.#kept.words
  bytes: Uint8Array = this.#kept.bytes
  length = 0
  /** Whether it was ASCII text. */
  ascii = false

  /** Stages a number, as eight bytes. */
  putNumber(number: number): void {
    this.#use(this.#kept)
    numbers[0] = number
    this.words[0] = numberWords[0]!
    this.words[1] = numberWords[1]!
    this.length = 8
    this.ascii = false
  }

  /** Stages a number, and a mark behind it (entry.ts: `markAt`). */
  putMarked(number: number, mark: number): void {
    this.putNumber(number)
    this.words[2] = mark
    this.length = markedBytes
  }

  /** Stages two numbers. */
  putNumbers(one: number, other: number): void {
    this.putNumber(other)
    this.words[2] = numberWords[0]!
    this.words[3] = numberWords[1]!
    this.putNumber(one)
    this.length = 16
  }

  /** Turns a staged key into that of a part (entry.ts); there is room for it. */
  extend({ kind, number }: Part): void {
    const { bytes } = this
    let end = this.length
    numbers[0] = number
    for (let i = 0; i < 8; i++) bytes[end++] = numberBytes[i]!
    bytes[end++] = kind
    this.length = end
    for (; (end & 3) !== 0; end++) bytes[end] = 0
  }

  /**
   * Stages bytes, or text as UTF-8.
   * @throws {CodedError} ERR_ARGUMENT if it is neither, ERR_STATE_TOO_LARGE if it is longer than `most` bytes.
   */
  put(attempted: string, what: string, data: Data, most: number): void {
    if (typeof data === 'string') this.#putText(data, most)
    else if (data instanceof Bytes) this.#putBytes(data, most)
    else throw notData(attempted, what, data)
    if (this.length <= most) return
    throw arenaError(
      'ERR_STATE_TOO_LARGE',
      `Cannot ${attempted}: its ${what} has ${this.length} bytes, at most ${most} fit: keep it in parts, under keys of their own`,
    )
  }

  #putBytes(data: Uint8Array, most: number): void {
    const length = data.length >>> 0
    this.length = length
    this.ascii = false
    if (length > most) return
    this.#makeRoom(length)
    if (length <= copiedByWordsMax) return putBytes(this.words, 0, data, length)
    this.words[length >>> 2] = 0
    copyBytes(this.bytes, data, 0)
  }

  #putText(text: string, most: number): void {
    const units = text.length
    this.length = units
    if (units > most) return
    this.#makeRoom(units * unitBytes)
    this.ascii = putAscii(this.words, text)
    if (this.ascii) return
    const { bytes } = this
    let end = utf8Write(text, bytes, 0)
    this.length = end
    for (; (end & 3) !== 0; end++) bytes[end] = 0
  }

  /** A large value gets a buffer of its own, until the next one comes. */
  #makeRoom(bytes: number): void {
    const needed = bytes + partRoomBytes
    if (needed > keptBytesMax) return this.#use(roomOf(needed & ~3))
    if (needed > this.#kept.size) this.#kept = roomOf(doubledTo(needed))
    this.#use(this.#kept)
  }

  #use({ words, bytes }: Room): void {
    this.words = words
    this.bytes = bytes
  }
}

interface Room {
  readonly size: number
  readonly words: Int32Array
  readonly bytes: Uint8Array
}

function roomOf(size: number): Room {
  const memory = new Memory(size)
  return { size, words: new Words(memory), bytes: new Bytes(memory) }
}

function doubledTo(needed: number): number {
  let size = keptBytesMin
  while (size < needed) size *= 2
  return size < keptBytesMax ? size : keptBytesMax
}
