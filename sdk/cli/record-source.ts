/**
 * RecordSource: reads records from a file or standard input, in bounded batches and at a bounded rate.
 *
 *   R1. A line is a record; `\r\n` counts as a line end; the last line needs none. Bytes are passed on unchanged.
 *   R2. At most one chunk of the source and one line are held, so that a slow gateway slows the reading.
 *   R3. The first line that is not a record ends the reading, after the lines before it were passed on.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordInput } from '../api/index.ts'
import type { ClientRecord } from '../client/index.ts'
import { CodedError } from '../errors.ts'
import { isObject } from '../manifest/changes.ts'
import { nearest } from '../nearest.ts'
import { isBase64 } from '../wire/base64.ts'
import { frameBytesMax, keyBytesMax } from '../wire/frame.ts'
import type { CliErrorCode } from './errors.ts'

export interface Batch {
  readonly records: readonly ClientRecord[]
  /** The bytes read from the source so far. */
  readonly readBytes: number
}

/** Makes a record of line `number`, counted from 1. */
export type LineParser = (line: Buffer, number: number) => ClientRecord

/** The longest line: a record of the largest size as JSON, with every byte escaped. */
const lineBytesMax = 6 * frameBytesMax

export async function* batchesOf(chunks: AsyncIterable<Buffer>, parse: LineParser): AsyncGenerator<Batch> {
  let rest: Buffer = Buffer.alloc(0)
  let readBytes = 0
  let number = 0
  function* batchOf(lines: readonly Buffer[]): Generator<Batch> {
    const records: ClientRecord[] = []
    try {
      for (const line of lines) records.push(checked(parse(line, ++number), number))
    } finally {
      yield { records, readBytes } // R3
    }
  }
  for await (const chunk of chunks) {
    readBytes += chunk.length
    const { lines, tail } = splitLines(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]))
    rest = tail
    yield* batchOf(lines)
    if (rest.length > lineBytesMax) throw tooLarge(number + 1, `more than ${lineBytesMax}`)
  }
  if (rest.length > 0) yield* batchOf([withoutReturn(rest)])
}

/**
 * Refuses here what the gateway would refuse: its message would have the line's number within a request, which means
 * nothing to the user.
 */
function checked(record: ClientRecord, number: number): ClientRecord {
  const keyBytes = Buffer.byteLength(record.key ?? '')
  const bytes = keyBytes + Buffer.byteLength(record.value)
  if (keyBytes > keyBytesMax)
    throw lineError(number, `its key has ${keyBytes} bytes, and a key ${keyBytesMax} at most`)
  if (bytes > frameBytesMax) throw tooLarge(number, `${bytes}`)
  return record
}

function tooLarge(number: number, bytes: string): Error {
  return lineError(
    number,
    `it has ${bytes} bytes, and key and value of a record about 1 MiB together at most`,
  )
}

function splitLines(bytes: Buffer): { lines: Buffer[]; tail: Buffer } {
  const lines: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    lines.push(withoutReturn(bytes.subarray(start, end)))
    start = end + 1
  }
  return { lines, tail: bytes.subarray(start) }
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === 13 ? line.subarray(0, -1) : line
}

/** Cuts batches and waits between them, so that `perSecond` records are sent in a second. */
export async function* paced(batches: AsyncIterable<Batch>, perSecond: number): AsyncGenerator<Batch> {
  const sliceRecords = Math.max(1, Math.ceil(perSecond / 20))
  const startedMs = performance.now()
  let passed = 0
  for await (const { records, readBytes } of batches) {
    for (let at = 0; at < records.length; at += sliceRecords) {
      const dueMs = startedMs + (passed / perSecond) * 1000
      await sleep(Math.max(0, dueMs - performance.now()))
      const slice = records.slice(at, at + sliceRecords)
      passed += slice.length
      yield { records: slice, readBytes }
    }
  }
}

/** The line is the value; all records have the same key, or none. */
export function valueLines(key: string | undefined): LineParser {
  return (value) => (key === undefined ? { value } : { key, value })
}

/**
 * The line is the value, a JSON object; one of its fields is the key. A number beyond 2^53 is refused: reading rounds it, and so
 * different numbers would be one key.
 */
export function keyedByField(field: string): LineParser {
  return (value, number) => {
    const key = (parseLine(value, number) as Record<string, unknown> | null)?.[field]
    if (typeof key === 'number' && Math.abs(key) > Number.MAX_SAFE_INTEGER)
      throw lineError(
        number,
        `its field '${field}' is a number beyond ${Number.MAX_SAFE_INTEGER}, which is rounded when it is read: write it in quotes, or give the key with --key-tab or --ndjson`,
      )
    if (typeof key === 'string' || typeof key === 'number') return { key: String(key), value }
    throw lineError(
      number,
      `its field '${field}' is ${key === undefined ? 'missing' : 'neither text nor a number'}`,
    )
  }
}

/** The line is key, tab, value, as `concord consume` prints it (commands/consume.ts). Without a tab it is a value. */
export function keyedByTab(line: Buffer): ClientRecord {
  const end = line.indexOf(9)
  return end <= 0
    ? { value: line.subarray(end + 1) }
    : { key: line.subarray(0, end), value: line.subarray(end + 1) }
}

/** What a line of a whole record may have, as the API takes it (sdk/api/streams.ts): the CLI loads no schemas. */
const recordFields: Readonly<Record<keyof RecordInput, 'text in quotes' | 'a whole number'>> = {
  key: 'text in quotes',
  keyBase64: 'text in quotes',
  value: 'text in quotes',
  valueBase64: 'text in quotes',
  timeMs: 'a whole number',
  partition: 'a whole number',
  // `concord consume --json` prints these too; they are not sent.
  stream: 'text in quotes',
  producer: 'text in quotes',
  sequence: 'a whole number',
}

/** The line is a whole record, as the API expects it: `{"key": …, "value": …, "timeMs": …}`. */
export function recordLines(line: Buffer, number: number): ClientRecord {
  const read = recordIn(parseLine(line, number) ?? {}, number)
  const bytes = (name: 'key' | 'value') => {
    const inBase64 = read[`${name}Base64`]
    if (inBase64 === undefined) return read[name]
    if (read[name] !== undefined)
      throw lineError(number, `it has both '${name}' and '${name}Base64': give one of them`)
    if (isBase64(inBase64)) return Buffer.from(inBase64, 'base64')
    throw lineError(number, `its '${name}Base64' is not base64: '${inBase64.slice(0, 40)}'`)
  }
  const [key, value] = [bytes('key'), bytes('value')]
  if (value === undefined) throw lineError(number, "it has neither 'value' nor 'valueBase64'")
  const { timeMs, partition } = read
  return {
    value,
    ...(key !== undefined && { key }),
    ...(timeMs !== undefined && { timeMs }),
    ...(partition !== undefined && { partition }),
  }
}

function recordIn(read: unknown, number: number): RecordInput {
  if (!isObject(read)) throw lineError(number, 'it is not an object {…}')
  for (const [name, value] of Object.entries(read)) {
    const expected = Object.hasOwn(recordFields, name) ? recordFields[name as keyof RecordInput] : undefined
    if (expected === undefined) throw lineError(number, unknownField(name))
    if (expected === 'text in quotes' ? typeof value !== 'string' : !Number.isInteger(value))
      throw lineError(number, `its '${name}' is not ${expected}: ${JSON.stringify(value).slice(0, 40)}`)
  }
  return read
}

function unknownField(name: string): string {
  const known = Object.keys(recordFields)
  const meant = nearest(name, known)
  const all = `a record has ${known.slice(0, 6).join(', ')}`
  return `unknown field '${name.slice(0, 40)}'; ${meant === undefined ? all : `did you mean '${meant}'?`}`
}

function parseLine(line: Buffer, number: number): unknown {
  try {
    return JSON.parse(line.toString('utf8'))
  } catch {
    throw lineError(number, `it is not JSON but starts with '${line.toString('utf8', 0, 40)}'`)
  }
}

function lineError(number: number, found: string): CodedError<CliErrorCode> {
  return new CodedError('ERR_RECORD_INVALID', `Cannot make a record of line ${number}: ${found}`)
}
