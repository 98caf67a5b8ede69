/**
 * Message: many letters in one message of JetStream, with the bytes that their records had.
 *
 * Layout, little endian, of all versions (head.ts; 1 knows of no timers):
 *
 *     u8 0xcd | u8 version | u16 0 | u32 bytes of the head | head: JSON in UTF-8 | key, value of the first | of the next …
 *
 *   LT1. `decodeLetters(encodeLetters(x))` is `x`, byte for byte, but for stacks that had to be cut to fit a message.
 *   LT2. What is malformed, truncated or of another version is refused with what was found.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { jsonBytes, parsedJson } from '../json.ts'
import { columnsOf, headVersion, malformed, readHead } from './head.ts'
import type { Letter, Letters } from './letter.ts'

const magic = 0xcd
const prefixBytes = 8
/** NATS's default bound is 1 MiB, headers included. */
const messageBytesMax = 1024 * 1024 - 512
/** Aimed at: a message is read whole to show one of its letters. */
const messageBytesAimed = 256 * 1024
/** Also how many subjects a function's letters have: the last part of a subject counts them. */
export const lettersPerMessageMax = 256

/** About how much of a message a letter takes. */
export function bytesOf({ record, error }: Letter): number {
  return record.key.length + record.value.length + error.stack.length + error.message.length + 256
}

/** Whether letters are a message of their own: there is no use in waiting for more. */
export function isFull(letters: number, bytes: number): boolean {
  return letters >= lettersPerMessageMax || bytes >= messageBytesAimed
}

/** Parts letters into messages, in their order. */
export function* messagesOf(letters: readonly Letter[]): Generator<readonly Letter[]> {
  let from = 0
  let bytes = 0
  for (const [index, letter] of letters.entries()) {
    const more = bytesOf(letter)
    if (index > from && (bytes + more > messageBytesAimed || index - from >= lettersPerMessageMax)) {
      yield letters.slice(from, index)
      from = index
      bytes = 0
    }
    bytes += more
  }
  if (from < letters.length) yield letters.slice(from)
}

/** Lengths to which the texts of errors are cut until a message fits. */
const cuts = [Number.POSITIVE_INFINITY, 1024, 128, 16]

/** @param content What one of `messagesOf` holds. */
export function encodeLetters(content: Letters): Uint8Array {
  const { letters } = content
  const recordBytes = letters.reduce((sum, { record }) => sum + record.key.length + record.value.length, 0)
  let head = new Uint8Array(0)
  for (const cut of cuts) {
    head = jsonBytes(columnsOf(content, cut))
    if (prefixBytes + head.length + recordBytes <= messageBytesMax) break
  }
  const bytes = new Uint8Array(prefixBytes + head.length + recordBytes)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, magic)
  view.setUint8(1, headVersion)
  view.setUint32(4, head.length, true)
  bytes.set(head, prefixBytes)
  let at = prefixBytes + head.length
  for (const { record } of letters) {
    bytes.set(record.key, at)
    bytes.set(record.value, at + record.key.length)
    at += record.key.length + record.value.length
  }
  return bytes
}

/** @throws {CodedError} ERR_LETTER_MALFORMED */
export function decodeLetters(bytes: Uint8Array): Letters {
  if (bytes.length < prefixBytes || bytes[0] !== magic) throw malformed(`it starts with ${bytes[0]}`)
  if (bytes[1]! < 1 || bytes[1]! > headVersion)
    throw malformed(
      `their message is of version ${bytes[1]}, and this build reads versions 1 to ${headVersion}. A later build reads it`,
    )
  const headBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true)
  if (headBytes > bytes.length - prefixBytes) throw malformed(`its head claims ${headBytes} bytes`)
  const json = parsedJson(bytes.subarray(prefixBytes, prefixBytes + headBytes))
  if (json === undefined) throw malformed('its head is no JSON')
  const head = readHead(bytes[1]!, json)
  let at = prefixBytes + headBytes
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw malformed('it is cut off')
    at += length
    return bytes.slice(at - length, at)
  }
  const letters = head.letters.map(({ timeMs, keyBytes, valueBytes, ...letter }) => ({
    record: { key: take(keyBytes), value: take(valueBytes), timeMs },
    ...letter,
  }))
  if (at !== bytes.length) throw malformed(`${bytes.length - at} bytes follow its last letter`)
  return { ...head, letters }
}
