/**
 * Entry: a key and its value as a block of words (layout.ts). `at` is the index of the block in its slab's words.
 *
 * The platform keeps more under an author's key than its state (counters, items of lists, timers). It stores them
 * under a *part* of that key: the key's bytes, a number of eight bytes, and a byte with the kind of part.
 *
 * Keys and values start at a word, so they are compared and copied by words. The unused bytes of the last word are
 * zero in a key; in a value they have no meaning.
 * @module
 */
import { Bytes, fromCharCode } from '../realm/primordials.ts'
import { utf8Read } from '../realm/utf8.ts'
import { entryExpiryWords, entryHeaderWords, shape } from './layout.ts'
import { Words } from './memory.ts'

const two32 = 2 ** 32

/** Values up to this size are overwritten in place, if that leaves at most 16 bytes and an eighth of the room empty. */
const inPlaceBytesMax = 1024

export interface Part {
  /** One of `partKind`. */
  readonly kind: number
  readonly number: number
}

export const partKind = { timer: 1, counter: 2, list: 3, window: 4, formats: 5 } as const
/** Where a list stores the numbers of its first item and of the one after its last. */
const listHeadNumber = -1
export const partBytes = 9
/** A number of eight bytes and its mark. */
export const markedBytes = 12

/** Whether entries of that kind have formats. Timers have none, nor has the table of formats. */
export function isTagged(kind: number): boolean {
  return kind !== partKind.timer && kind !== partKind.formats
}

/** Whether the author chose the shape of the value: state, and items of lists. */
export function isMigrated(part: Part | undefined): boolean {
  return part === undefined || (part.kind === partKind.list && part.number !== listHeadNumber)
}

const numbers = new Float64Array(1)
const numberWords = new Words(numbers.buffer)
const numberBytes = new Bytes(numbers.buffer)

/** The number in two words (`Staging.putNumber`). */
export function numberOf(low: number, high: number): number {
  numberWords[0] = low
  numberWords[1] = high
  return numbers[0]!
}

export function wordsFor(bytes: number): number {
  return (bytes + 3) >>> 2
}

/** The index of the key in an entry of that shape. */
export function keyOffset(form: number): number {
  return (form & shape.expires) === 0 ? entryHeaderWords : entryHeaderWords + entryExpiryWords
}

/** The index of the value. */
export function valueOffset(form: number): number {
  return keyOffset(form) + wordsFor(form & shape.keyBytes)
}

/** The bytes that the block has for a value. */
export function valueRoom(words: Int32Array, at: number): number {
  return ((words[at]! >>> 2) - valueOffset(words[at + 3]!)) * 4
}

export function valueBytes(words: Int32Array, at: number): number {
  return valueRoom(words, at) - ((words[at + 3]! >>> shape.slackShift) & shape.slack)
}

/** The number that an entry's value begins with. */
export function numberAt(words: Int32Array, at: number): number {
  const valueAt = at + valueOffset(words[at + 3]!)
  return numberOf(words[valueAt]!, words[valueAt + 1]!)
}

/** A number's mark (keyed-state.ts); 0 if it has none, as those that builds without marks stored. */
export function markAt(words: Int32Array, at: number): number {
  return valueBytes(words, at) < markedBytes ? 0 : words[at + valueOffset(words[at + 3]!) + 2]!
}

/** Whether the value of an entry can be overwritten in place by one of `length` bytes. */
export function fitsInPlace(
  words: Int32Array,
  at: number,
  length: number,
  expiresMs: number | undefined,
): boolean {
  const expires = (words[at + 3]! & shape.expires) !== 0
  const room = valueRoom(words, at)
  const slack = room - length
  return (
    slack >= 0 &&
    slack <= 16 + (room >> 3) &&
    length <= inPlaceBytesMax &&
    expires === (expiresMs !== undefined)
  )
}

/** Whether an entry is of a kind that has formats. */
export function hasFormat(words: Int32Array, at: number): boolean {
  return words[at + 3]! >= 0 || !(isPart(words, at, partKind.timer) || isPart(words, at, partKind.formats))
}

/** The part that an entry is; undefined: it is none. */
export function partOf(words: Int32Array, at: number): Part | undefined {
  const form = words[at + 3]!
  if (form >= 0) return undefined
  const end = readBytes(words, at + keyOffset(form), form & shape.keyBytes)
  const from = end.length - partBytes
  for (let i = 0; i < 8; i++) numberBytes[i] = end[from + i]!
  return { kind: end[from + 8]!, number: numbers[0]! }
}

/** Infinite if it never expires. */
export function expiresMs(words: Int32Array, at: number): number {
  if ((words[at + 3]! & shape.expires) === 0) return Number.POSITIVE_INFINITY
  return (words[at + 4]! >>> 0) + words[at + 5]! * two32
}

export function writeExpiry(words: Int32Array, at: number, timeMs: number): void {
  words[at + 4] = timeMs | 0
  words[at + 5] = (timeMs - (timeMs >>> 0)) / two32
}

/** Whether the entry's key equals `keyWords`; `keyForm` is what the shape says about the key. */
export function hasKey(words: Int32Array, at: number, keyWords: Int32Array, keyForm: number): boolean {
  const form = words[at + 3]!
  return (form & shape.key) === keyForm && hasWords(words, at, keyWords, keyForm)
}

/** The same, in any format. */
export function hasKeyOfAny(words: Int32Array, at: number, keyWords: Int32Array, keyForm: number): boolean {
  const form = words[at + 3]!
  return ((form ^ keyForm) & shape.keyOfAny) === 0 && hasWords(words, at, keyWords, keyForm)
}

function hasWords(words: Int32Array, at: number, keyWords: Int32Array, keyForm: number): boolean {
  const from = at + keyOffset(words[at + 3]!)
  for (let i = wordsFor(keyForm & shape.keyBytes) - 1; i >= 0; i--)
    if (words[from + i] !== keyWords[i]) return false
  return true
}

/** The same for a key of the author's as bytes, in the format of `format`. */
export function hasKeyBytes(words: Int32Array, at: number, key: Uint8Array, format: number): boolean {
  const form = words[at + 3]!
  const length = key.length
  if ((form & shape.key) !== (length | format)) return false
  let from = at + keyOffset(form)
  let i = 0
  for (; i + 4 <= length; i += 4) {
    const word = key[i]! | (key[i + 1]! << 8) | (key[i + 2]! << 16) | (key[i + 3]! << 24)
    if (words[from++] !== word) return false
  }
  for (let rest = words[from]!; i < length; i++, rest >>>= 8) if ((rest & 0xff) !== key[i]) return false
  return true
}

/** The same for a key as text. A key that is not ASCII never matches here. */
export function hasKeyText(words: Int32Array, at: number, key: string, format: number): boolean {
  const form = words[at + 3]!
  const length = key.length
  if ((form & shape.key) !== (length | format)) return false
  const from = at + keyOffset(form)
  for (let i = 0; i < length; i++) {
    const unit = key.charCodeAt(i)
    if (unit >= 0x80 || ((words[from + (i >> 2)]! >>> ((i & 3) << 3)) & 0xff) !== unit) return false
  }
  return true
}

/** Whether the entry's key is a part of that kind. */
export function isPart(words: Int32Array, at: number, kind: number): boolean {
  const form = words[at + 3]!
  const last = (form & shape.keyBytes) - 1
  const word = words[at + keyOffset(form) + (last >> 2)]!
  return form < 0 && ((word >>> ((last & 3) << 3)) & 0xff) === kind
}

export function copyWords(
  from: Int32Array,
  fromAt: number,
  to: Int32Array,
  toAt: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) to[toAt + i] = from[fromAt + i]!
}

/** A copy of `length` bytes from an index on. */
export function readBytes(words: Int32Array, at: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Bytes(length)
  let i = 0
  for (; i + 4 <= length; i += 4) {
    const word = words[at++]!
    bytes[i] = word
    bytes[i + 1] = word >>> 8
    bytes[i + 2] = word >>> 16
    bytes[i + 3] = word >>> 24
  }
  for (let rest = words[at]!; i < length; i++, rest >>>= 8) bytes[i] = rest
  return bytes
}

/** The same as a string. @param isAscii All bytes are below 0x80. */
export function readText(words: Int32Array, at: number, length: number, isAscii: boolean): string {
  return isAscii ? readAscii(words, at, length) : utf8Read(readBytes(words, at, length))
}

/**
 * The same if all bytes are below 0x80. Characters cost 2 ns each where sixteen are made in a call, and 7 where each has
 * one of its own: so the last call takes what stands behind the text as well, and it is cut off.
 */
function readAscii(words: Int32Array, at: number, length: number): string {
  let text = ''
  for (; length > 16; length -= 16, at += 4) text += sixteen(words, at)
  return text + (length > 8 ? sixteen(words, at) : eight(words, at)).substring(0, length)
}

function eight(words: Int32Array, at: number): string {
  const low = words[at]!
  const high = words[at + 1]!
  return fromCharCode(
    low & 0xff,
    (low >>> 8) & 0xff,
    (low >>> 16) & 0xff,
    low >>> 24,
    high & 0xff,
    (high >>> 8) & 0xff,
    (high >>> 16) & 0xff,
    high >>> 24,
  )
}

function sixteen(words: Int32Array, at: number): string {
  const first = words[at]!
  const second = words[at + 1]!
  const third = words[at + 2]!
  const last = words[at + 3]!
  return fromCharCode(
    first & 0xff,
    (first >>> 8) & 0xff,
    (first >>> 16) & 0xff,
    first >>> 24,
    second & 0xff,
    (second >>> 8) & 0xff,
    (second >>> 16) & 0xff,
    second >>> 24,
    third & 0xff,
    (third >>> 8) & 0xff,
    (third >>> 16) & 0xff,
    third >>> 24,
    last & 0xff,
    (last >>> 8) & 0xff,
    (last >>> 16) & 0xff,
    last >>> 24,
  )
}
