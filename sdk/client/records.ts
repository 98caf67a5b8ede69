/**
 * Records: how a client writes records into the body of `POST …/records`.
 *
 * Length-prefixed (u32 LE key length, u32 LE value length, key, value) costs the gateway the least; it carries no
 * event time and no partition, so records that name one go as NDJSON.
 * @module
 */
import type { RecordInput } from '../api/index.ts'

/** A record to send. Text is sent as UTF-8. */
export interface ClientRecord {
  readonly key?: string | Uint8Array
  readonly value: string | Uint8Array
  /** Event time, milliseconds since 1970; default: the gateway's clock. */
  readonly timeMs?: number
  /** The partition, overriding the key (grouping `explicit`). */
  readonly partition?: number
}

export interface RecordsBody {
  readonly type: string
  readonly body: Uint8Array<ArrayBuffer>
}

export const recordsType = 'application/vnd.concord.records'
const ndjsonType = 'application/x-ndjson'

/** Writes the records in their order, in the cheapest form that can carry them. */
export function recordsBody(records: readonly ClientRecord[]): RecordsBody {
  return records.some(({ timeMs, partition }) => timeMs !== undefined || partition !== undefined)
    ? {
        type: ndjsonType,
        body: utf8(`${records.map((record) => JSON.stringify(inputOf(record))).join('\n')}\n`),
      }
    : { type: recordsType, body: lengthPrefixed(records) }
}

/** Approximate bytes of a record in a body: exact for bytes and ASCII; other text may take up to 3 times as much. */
export function roughBodyBytes({ key, value }: ClientRecord): number {
  return 8 + (key?.length ?? 0) + value.length
}

function lengthPrefixed(records: readonly ClientRecord[]): Uint8Array<ArrayBuffer> {
  const parts = records.map(({ key, value }) => ({ key: bytesOf(key ?? ''), value: bytesOf(value) }))
  const body = new Uint8Array(parts.reduce((sum, { key, value }) => sum + 8 + key.length + value.length, 0))
  const view = new DataView(body.buffer)
  let at = 0
  for (const { key, value } of parts) {
    view.setUint32(at, key.length, true)
    view.setUint32(at + 4, value.length, true)
    body.set(key, at + 8)
    body.set(value, at + 8 + key.length)
    at += 8 + key.length + value.length
  }
  return body
}

function inputOf({ key, value, timeMs, partition }: ClientRecord): RecordInput {
  return {
    ...(key === undefined ? {} : typeof key === 'string' ? { key } : { keyBase64: base64(key) }),
    ...(typeof value === 'string' ? { value } : { valueBase64: base64(value) }),
    ...(timeMs === undefined ? {} : { timeMs }),
    ...(partition === undefined ? {} : { partition }),
  }
}

const encoder = new TextEncoder()

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? utf8(data) : data
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
