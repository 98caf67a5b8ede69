/**
 * RecordReader: parses the records in the body of a publish, as its chunks arrive.
 *
 * Two formats: NDJSON of RecordInput, and length-prefixed bytes (u32 LE key length, u32 LE value length, key, value,
 * repeated).
 *   R1. Less than one record of the largest size is kept between chunks.
 *   R2. The first unreadable record ends the reading; the error gives the number of its line or record.
 * @module
 */
import { type RecordInput, recordInputSchema } from '../../sdk/api/index.ts'
import { issuesText } from '../../sdk/manifest/expected.ts'
import { isBase64 } from '../../sdk/wire/base64.ts'
import { checkRecordSize, frameBytesMax, keyBytesMax, type RawRecord } from '../../sdk/wire/frame.ts'
import { refuse } from '../errors.ts'

export const recordsType = 'application/vnd.concord.records'

/** Key and value in base64 and as JSON, with room for names and spaces. */
const lineBytesMax = 2 * frameBytesMax
const prefixBytes = 8
const empty = new Uint8Array(0)

export interface ReadRecord extends RawRecord {
  /** The partition that the record names, if any. */
  readonly partition?: number
}

export interface RecordReader {
  /** The records that the chunk completes. Their bytes may be views of it. */
  push(chunk: Uint8Array): Generator<ReadRecord>
  /** The records that the end of the body completes. */
  end(): Iterable<ReadRecord>
}

/** @param nowMs The event time of records that have none. */
export function recordReader(contentType: string, nowMs: () => number): RecordReader {
  return contentType.startsWith(recordsType) ? new PrefixedReader(nowMs) : new LineReader(nowMs)
}

class LineReader implements RecordReader {
  readonly #nowMs: () => number
  #rest: Uint8Array = empty
  #line = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  *push(chunk: Uint8Array): Generator<ReadRecord> {
    const bytes = joined(this.#rest, chunk)
    let at = 0
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, at)) {
      const line = bytes.subarray(at, end)
      at = end + 1
      yield* this.#read(line)
    }
    this.#rest = bytes.subarray(at)
    if (this.#rest.length <= lineBytesMax) return
    this.#line += 1 // its end has yet to come
    throw this.#refuse(`it is longer than ${lineBytesMax} bytes`)
  }

  *end(): Generator<ReadRecord> {
    yield* this.#read(this.#rest)
  }

  *#read(line: Uint8Array): Generator<ReadRecord> {
    this.#line += 1
    const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8').trim()
    if (text !== '') yield this.#record(text)
  }

  #record(text: string): ReadRecord {
    const input = this.#parse(text)
    if ((input.value === undefined) === (input.valueBase64 === undefined)) {
      throw this.#refuse('expected exactly one of `value` and `valueBase64`')
    }
    if (input.key !== undefined && input.keyBase64 !== undefined) {
      throw this.#refuse('expected at most one of `key` and `keyBase64`')
    }
    const key = this.#bytes(input.key, input.keyBase64)
    const value = this.#bytes(input.value, input.valueBase64)
    checkSize(`line ${this.#line}`, key, value)
    const { partition, timeMs = this.#nowMs() } = input
    return { key, value, timeMs, ...(partition === undefined ? {} : { partition }) }
  }

  #parse(text: string): RecordInput {
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      throw this.#refuse('it is not JSON')
    }
    const parsed = recordInputSchema.safeParse(json)
    if (!parsed.success) throw this.#refuse(issuesText(parsed.error, json, recordInputSchema))
    return parsed.data
  }

  #bytes(text: string | undefined, base64: string | undefined): Uint8Array {
    if (base64 === undefined) return text === undefined ? empty : Buffer.from(text)
    if (!isBase64(base64)) throw this.#refuse('its base64 is not base64')
    return Buffer.from(base64, 'base64')
  }

  #refuse(what: string): Error {
    const form = '{"key":"text","value":"text"}'
    return refuse(
      'ERR_RECORD_INVALID',
      `Cannot read line ${this.#line} as a record: ${what}. Each line is an object like ${form}.`,
    )
  }
}

class PrefixedReader implements RecordReader {
  readonly #nowMs: () => number
  #rest: Uint8Array = empty
  #record = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  *push(chunk: Uint8Array): Generator<RawRecord> {
    const bytes = joined(this.#rest, chunk)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const timeMs = this.#nowMs()
    let at = 0
    while (bytes.length - at >= prefixBytes) {
      const keyEnd = at + prefixBytes + view.getUint32(at, true)
      const end = keyEnd + view.getUint32(at + 4, true)
      if (end - at - prefixBytes > frameBytesMax)
        throw tooLargeRecord(`record ${this.#record + 1}`, end - at - prefixBytes)
      if (end > bytes.length) break
      const record = {
        key: bytes.subarray(at + prefixBytes, keyEnd),
        value: bytes.subarray(keyEnd, end),
        timeMs,
      }
      this.#record += 1
      checkSize(`record ${this.#record}`, record.key, record.value)
      at = end
      yield record
    }
    this.#rest = bytes.subarray(at)
  }

  end(): readonly RawRecord[] {
    if (this.#rest.length === 0) return []
    throw refuse(
      'ERR_RECORD_INVALID',
      `Cannot read record ${this.#record + 1}: the body ends in the middle of it.`,
    )
  }
}

function joined(rest: Uint8Array, chunk: Uint8Array): Uint8Array {
  return rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
}

function checkSize(which: string, key: Uint8Array, value: Uint8Array): void {
  try {
    checkRecordSize(key.length, value.length)
  } catch {
    if (key.length > keyBytesMax) throw tooLargeKey(which, key.length)
    throw tooLargeRecord(which, key.length + value.length)
  }
}

function tooLargeKey(which: string, bytes: number): Error {
  return refuse(
    'ERR_TOO_LARGE',
    `Cannot take ${which}: its key has ${bytes} bytes, and a key has at most ${keyBytesMax}.`,
  )
}

function tooLargeRecord(which: string, bytes: number): Error {
  return refuse(
    'ERR_TOO_LARGE',
    `Cannot take ${which}: with ${bytes} bytes it is larger than a record can be. Keys have at most 64 KiB, key and value together about 1 MiB.`,
  )
}
