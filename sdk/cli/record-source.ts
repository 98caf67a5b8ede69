/**
 * RecordSource: records out of a file or standard input, in bounded batches, at a bounded rate.
 *
 *  R1. A line is a record; `\r\n` counts as a line end; the last line needs none. Bytes are passed on as they are.
 *  R2. What is read and not yet sent is at most one read of the source, so that a slow gateway slows the reading.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordInput } from '../api/index.ts'
import type { ClientRecord } from '../client/index.ts'
import { CodedError } from '../errors.ts'
import type { CliErrorCode } from './errors.ts'

export interface Batch {
  readonly records: readonly ClientRecord[]
  /** Bytes of the source that were read so far. */
  readonly readBytes: number
}

/** Makes a record of line `number`, counted from 1. */
export type LineParser = (line: Buffer, number: number) => ClientRecord

export async function* batchesOf(chunks: AsyncIterable<Buffer>, parse: LineParser): AsyncGenerator<Batch> {
  let rest: Buffer = Buffer.alloc(0)
  let readBytes = 0
  let number = 0
  for await (const chunk of chunks) {
    readBytes += chunk.length
    const { lines, tail } = splitLines(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]))
    rest = tail
    yield { records: lines.map((line) => parse(line, ++number)), readBytes }
  }
  if (rest.length > 0) yield { records: [parse(withoutReturn(rest), ++number)], readBytes }
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

/** Cuts batches and waits between them so that `perSecond` records pass in a second. */
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

/** A line is the value; every record has the same key, or none. */
export function valueLines(key: string | undefined): LineParser {
  return (value) => (key === undefined ? { value } : { key, value })
}

/** A line is the value, a JSON object; one of its fields is the key. */
export function keyedByField(field: string): LineParser {
  return (value, number) => {
    const key = (parseLine(value, number) as Record<string, unknown> | null)?.[field]
    if (typeof key === 'string' || typeof key === 'number') return { key: String(key), value }
    throw lineError(
      number,
      `its field '${field}' is ${key === undefined ? 'missing' : 'neither text nor a number'}`,
    )
  }
}

/** A line is key, tab, value, as `concord consume` prints it (commands/consume.ts); without a tab it is a value. */
export function keyedByTab(line: Buffer): ClientRecord {
  const end = line.indexOf(9)
  return end <= 0
    ? { value: line.subarray(end + 1) }
    : { key: line.subarray(0, end), value: line.subarray(end + 1) }
}

/** A line is a whole record, as the API takes it: `{"key": …, "value": …, "timeMs": …}`. */
export function recordLines(line: Buffer, number: number): ClientRecord {
  const { key, keyBase64, value, valueBase64, timeMs, partition } = (parseLine(line, number) ??
    {}) as RecordInput
  const bytes = valueBase64 === undefined ? value : Buffer.from(valueBase64, 'base64')
  if (bytes === undefined) throw lineError(number, "it has neither 'value' nor 'valueBase64'")
  const keyBytes = keyBase64 === undefined ? key : Buffer.from(keyBase64, 'base64')
  return {
    value: bytes,
    ...(keyBytes !== undefined && { key: keyBytes }),
    ...(timeMs !== undefined && { timeMs }),
    ...(partition !== undefined && { partition }),
  }
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
