/**
 * Message: many letters in one message of JetStream. `letter-block.ts` writes it, `decodeLetters` reads it.
 *
 * Layout of version 4, little endian:
 *
 *     u8 0xcd | u8 version | u16 0 | u32 bytes of the head | head (head.ts) | letters
 *
 *   a letter:
 *      0 u16 place, an index in the head          16 f64 when it failed, ms since 1970
 *      2 u16 error, an index in the head          24 u32 bytes of the message; 2^32 - 1: it is that of the letter before
 *      4 u32 attempts                             28 the record as in its frame (sdk/wire/frame.ts), then the message in UTF-8
 *      8 f64 sequence
 *
 * Versions 1 to 3 had another head (former-heads.ts), then the key and the value of the first letter, of the next …
 *
 *   LT1. What was written is read, byte for byte, but for texts of errors that had to be cut to fit a message.
 *   LT2. What is malformed, truncated or of another version is refused with what was found.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { recordAt, recordHeaderBytes } from '../../sdk/wire/frame.ts'
import { parsedJson } from '../json.ts'
import { readFormerHead } from './former-heads.ts'
import { at, errorOf, malformed, readHead } from './head.ts'
import type { Letter, Letters } from './letter.ts'

export const magic = 0xcd
export const versionNow = 4
export const prefixBytes = 8
/** Of a letter, before its record. */
export const rowBytes = 28
/** For the bytes of a message. */
export const asBefore = 2 ** 32 - 1

/** @throws {CodedError} ERR_LETTER_MALFORMED */
export function decodeLetters(bytes: Uint8Array): Letters {
  if (bytes.length < prefixBytes || bytes[0] !== magic) throw malformed(`it starts with ${bytes[0]}`)
  const version = bytes[1]!
  if (version < 1 || version > versionNow)
    throw malformed(
      `their message is of version ${version}, and this build reads versions 1 to ${versionNow}. A later build reads it`,
    )
  const headBytes = viewOf(bytes).getUint32(4, true)
  if (headBytes > bytes.length - prefixBytes) throw malformed(`its head claims ${headBytes} bytes`)
  const json = parsedJson(bytes.subarray(prefixBytes, prefixBytes + headBytes))
  if (json === undefined) throw malformed('its head is no JSON')
  const body = new Body(bytes.subarray(prefixBytes + headBytes))
  const letters = version === versionNow ? readRows(json, body) : readKeysAndValues(version, json, body)
  if (body.left > 0) throw malformed(`${body.left} bytes follow its last letter`)
  return letters
}

/** What follows a head. */
class Body {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** The next bytes, of which nothing is taken. */
  next(length: number): Uint8Array {
    if (length > this.left) throw malformed('it is cut off')
    return this.#bytes.subarray(this.#at, this.#at + length)
  }

  /** A copy. */
  take(length: number): Uint8Array {
    const taken = this.next(length).slice()
    this.#at += length
    return taken
  }
}

function readRows(json: unknown, body: Body): Letters {
  const { letters: count, errors, places, timers = [], function: name, version } = readHead(json)
  const timerOf = new Map(timers.map(({ letter, ...timer }) => [letter, timer]))
  const letters: Letter[] = []
  let message = ''
  for (let index = 0; index < count; index++) {
    const row = viewOf(body.take(rowBytes))
    const [sequence, failedAtMs] = [row.getFloat64(8, true), row.getFloat64(16, true)]
    if (!Number.isSafeInteger(sequence) || sequence < 0 || !Number.isFinite(failedAtMs))
      throw malformed(`it has the sequence ${sequence}, failed at ${failedAtMs}`)
    const record = recordAt(body.take(recordBytesIn(body)), 0)
    const messageBytes = row.getUint32(24, true)
    if (messageBytes !== asBefore) message = utf8.decode(body.take(messageBytes))
    const timer = timerOf.get(index)
    letters.push({
      record,
      ...at(places, row.getUint16(0, true), 'place'),
      error: errorOf(at(errors, row.getUint16(2, true), 'error'), message),
      ...{ sequence, attempts: row.getUint32(4, true), failedAtMs },
      ...(timer && { timer }),
    })
  }
  return { function: name, version, letters }
}

function recordBytesIn(body: Body): number {
  const head = viewOf(body.next(recordHeaderBytes))
  const bytes = recordHeaderBytes + head.getUint16(4, true) + head.getUint32(0, true)
  return Math.ceil(bytes / 4) * 4 // may be beyond 32 bits
}

function readKeysAndValues(version: number, json: unknown, body: Body): Letters {
  const head = readFormerHead(version, json)
  const letters = head.letters.map(({ timeMs, keyBytes, valueBytes, ...letter }) => ({
    record: { key: body.take(keyBytes), value: body.take(valueBytes), timeMs },
    ...letter,
  }))
  return { ...head, letters }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length)
}
