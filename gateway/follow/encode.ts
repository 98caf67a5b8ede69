/**
 * Encode: turns records and events for a follower into lines of JSON or server-sent events.
 * @module
 */
import { isUtf8 } from 'node:buffer'
import type { FollowEvent, RecordOutput } from '../../sdk/api/index.ts'
import { type FrameHeader, type RawRecord, recordsOf } from '../../sdk/wire/frame.ts'

export interface FollowFormat {
  readonly contentType: string
  encode(line: RecordOutput | FollowEvent): string
}

export const ndjson: FollowFormat = {
  contentType: 'application/x-ndjson',
  encode: (line) => `${JSON.stringify(line)}\n`,
}

const serverSentEvents: FollowFormat = {
  contentType: 'text/event-stream',
  encode: (line) => `${'event' in line ? `event: ${line.event}\n` : ''}data: ${JSON.stringify(line)}\n\n`,
}

export function formatFor(accept: string | undefined): FollowFormat {
  return accept?.includes('text/event-stream') ? serverSentEvents : ndjson
}

/** The records of a frame after the first `skip`. */
export function* outputsOf(
  stream: string,
  bytes: Uint8Array,
  header: FrameHeader,
  skip: number,
): Generator<RecordOutput> {
  let index = 0
  for (const record of recordsOf(bytes, header)) {
    if (index >= skip) yield outputOf(stream, header, header.sequence + index, record)
    index += 1
  }
}

function outputOf(
  stream: string,
  header: FrameHeader,
  sequence: number,
  { key, value, timeMs }: RawRecord,
): RecordOutput {
  return {
    stream,
    partition: header.partition,
    producer: header.producer,
    sequence,
    timeMs,
    ...(isUtf8(key) ? { key: text(key) } : { keyBase64: base64(key) }),
    ...(isUtf8(value) ? { value: text(value) } : { valueBase64: base64(value) }),
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}
