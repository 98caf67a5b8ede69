/**
 * Tap: the recent inputs of an instance as a file (format version 1). Bytes are base64 in the file.
 * Design: docs/design/0019-tap.md
 * @module
 */

import type { BootConfig } from '../runtime/isolate-main.ts'
import { asideIsLast, inputRowAside, inputRowWords } from '../runtime/shared/layout.ts'
import { frameBytesMax, parseFrame, type RawRecord, recordsOf } from '../wire/frame.ts'

/** The result of a call. */
export interface TapDone {
  readonly records: number
  readonly timers: number
  /** Units of tidying (runtime/housekeeping.ts). Absent in taps of builds before it existed. */
  readonly tidied?: number
  /** The checksum of its effects (replay/effects.ts). */
  readonly crc: number
  /** Set if a callback failed for good under the policy `fail`: it is the record after those that are done. */
  readonly ended?: boolean
}

export type TapEntry =
  | {
      readonly kind: 'run'
      readonly nowMs: number
      /** Its number within its isolate. */
      readonly batch: number
      readonly frames: number
      /** The used part of the input region. */
      readonly input: Uint8Array
      /** Whether the batch was also passed as a string. */
      readonly asText: boolean
      readonly lines?: string | undefined
      /** The keys that were its own, as JSON; absent: all. */
      readonly share?: string | undefined
      /** Absent if the isolate did not return. */
      readonly done?: TapDone
    }
  | { readonly kind: 'wake'; readonly nowMs: number; readonly done?: TapDone }

export type TapState =
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'image'
      readonly slabs: readonly { readonly partition: number; readonly bytes: Uint8Array }[]
    }
  | { readonly kind: 'tooLarge'; readonly bytes: number }

/** All calls of an isolate from some moment on. */
export interface TapChapter {
  /** Whether it starts with its isolate. */
  readonly fromStart: boolean
  readonly boot: BootConfig
  /** The random seed: 32 bytes in base64. */
  readonly seed: string
  readonly state: TapState
  readonly entries: readonly TapEntry[]
}

export interface TapFile {
  readonly schema: 1
  readonly function: string
  readonly version: number
  /** `FUNCTION-INDEX`. */
  readonly instance: string
  readonly takenAtMs: number
  readonly chapters: readonly TapChapter[]
  /** Calls that were too large for a chapter: they are in none. */
  readonly missed?: number
  /** The code, if it is known. */
  readonly bundle?: string
}

const bytesKey = '$base64'

export function tapText(file: TapFile): string {
  return JSON.stringify(file, (_key, value: unknown) =>
    value instanceof Uint8Array
      ? { [bytesKey]: Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64') }
      : value,
  )
}

/** @throws {SyntaxError} If it is not a tap, or has a later format. */
export function parseTap(text: string): TapFile {
  const file = JSON.parse(text, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && bytesKey in value
      ? new Uint8Array(Buffer.from(String(value[bytesKey]), 'base64'))
      : value,
  ) as TapFile | null
  if (typeof file !== 'object' || file?.schema !== 1 || !Array.isArray(file.chapters))
    throw new SyntaxError('Cannot read this as a tap: expected {"schema": 1, "chapters": [ … ]}')
  return file
}

type Done = Pick<TapDone, 'records' | 'ended'> & Partial<TapDone>
type Called = readonly { readonly kind: TapEntry['kind']; readonly done?: Done }[]

/** The records that a `run` finished, including its wakes; infinite if it never returned. */
export function recordsDone(entries: Called, at: number): number {
  return sumOf(entries, at, ({ records }) => records)
}

/** The same of the timers that it called. */
export function timersDone(entries: Called, at: number): number {
  return sumOf(entries, at, ({ timers = 0 }) => timers)
}

function sumOf(entries: Called, at: number, of: (done: Done) => number): number {
  let sum = 0
  for (const [i, { kind, done }] of entries.slice(at).entries()) {
    if (kind === 'run' && i > 0) break
    sum += done === undefined || done.ended ? Number.POSITIVE_INFINITY : of(done)
  }
  return sum
}

/** A record of an entry, and its place. */
export interface TapRecord extends RawRecord {
  readonly stream: string
  readonly partition: number
  readonly producer: string
  readonly sequence: number
  /** The number of the attempt: 1 unless it was tried before. */
  readonly attempt: number
}

/** The records of an entry, in their order; unreadable ones are left out. */
export function tapRecords(entry: TapEntry, inputs: readonly string[]): TapRecord[] {
  if (entry.kind !== 'run') return []
  const { input, frames } = entry
  const aligned = input.byteOffset % 4 === 0 ? input : new Uint8Array(input)
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2)
  const records: TapRecord[] = []
  for (let frame = 0; frame < frames; frame++) {
    const row = frame * inputRowWords
    const at = words[row + 1] ?? 0
    const next = frame + 1 < frames ? words[row + inputRowWords + 1]! : aligned.length
    const bytes = aligned.subarray(at, Math.min(next, at + frameBytesMax))
    const header = parseFrame(bytes)
    const all = [...recordsOf(bytes, header)].slice(words[row + 2] ?? 0)
    records.push(
      ...all.map((record, i) => ({
        ...record,
        stream: inputs[words[row] ?? 0] ?? '?',
        partition: header.partition,
        producer: header.producer,
        sequence: header.sequence + (words[row + 2] ?? 0) + i,
        attempt: Math.max(1, (words[row + inputRowAside] ?? 0) & ~asideIsLast),
      })),
    )
  }
  return records
}
