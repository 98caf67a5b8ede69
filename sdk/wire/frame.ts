/**
 * Frame: the one codec of what lies on the bus. A frame is a batch of records of one partition from one producer.
 *
 * Layout, version 1, little-endian (docs/design/0001-wire-formats.md):
 *
 *   header, 48 bytes                              record, 16 bytes + key + value, padded to 4
 *    0 u8  magic 0xC7                              0 u32 valueBytes
 *    1 u8  version 1                               4 u16 keyBytes
 *    2 u16 flags                                   6 u16 flags (0)
 *    4 u16 headerBytes (48, or more: skip it)      8 i64 event time, ms since 1970
 *    6 u16 partition                              16 key, then value, then zeros to a multiple of 4
 *    8 u64 producer id, new per incarnation
 *   16 u64 origin: the producing slot, for fencing
 *   24 u32 epoch of that slot
 *   28 u32 record count
 *   32 u64 sequence of the first record: records of this producer in this partition before it
 *   40 u32 bodyBytes
 *   44 u8  version of credits that the producer asks for (0: 1), three bytes of zero
 *
 * Invariants:
 *  F1. `parseFrame` answers a header only if every record lies inside the frame; else it throws, never reads beyond.
 *  F2. A version, flag or header extension that is not known here is refused or skipped as the format says, never guessed.
 * @module
 */
import { CodedError } from '../errors.ts'

export const frameMagic = 0xc7
const frameVersion = 1
export const headerBytesV1 = 48
export const recordHeaderBytes = 16
export const keyBytesMax = 0xffff
/**
 * The size that producers aim for. nats-server reads 64 KiB at a time, and a message cut in two by a read costs it
 * memory and a copy. Frames of 32 KiB are cut half as often, which saves a fifth of its CPU; smaller frames cost more
 * at both ends than they save there.
 */
export const frameBytesAimed = 32 * 1024
/** Largest frame accepted: below nats-server's default max_payload of 1 MiB, with room for headers. */
export const frameBytesMax = 1024 * 1024 - 4096

/** Header flags. A receiver refuses flags it does not know, since they may change the meaning of the body. */
export const frameFlags = {
  /** No records: tells the next sequence, so that a lost tail is seen; asks for credit. */
  beacon: 1,
  /** Reserved; nothing sends it (docs/design/0011-handover.md). */
  marker: 2,
  /** Reserved for a trace context in an extended header; nothing sends it. */
  traced: 4,
} as const
const flagsKnown = 7

export type FrameErrorCode = 'ERR_FRAME_MALFORMED' | 'ERR_FRAME_VERSION' | 'ERR_RECORD_TOO_LARGE'

export interface FrameHeader {
  readonly flags: number
  readonly headerBytes: number
  readonly partition: number
  /** 16 hex digits. */
  readonly producer: string
  /** 16 hex digits. */
  readonly origin: string
  readonly epoch: number
  readonly count: number
  readonly sequence: number
  readonly bodyBytes: number
  /** The version of credits that the producer asks for. */
  readonly creditVersion: number
}

const two32 = 2 ** 32

function malformed(what: string, detail: Record<string, unknown> = {}): CodedError<FrameErrorCode> {
  return new CodedError('ERR_FRAME_MALFORMED', `Cannot read a frame: ${what}`, { detail })
}

/** Recent ids by their low words: spelling an id costs more than reading a small frame. */
const spelled = new Map<number, { readonly high: number; readonly text: string }>()
const spelledMax = 1024

/** A 64-bit id as 16 hex digits. */
export function idText(high: number, low: number): string {
  const known = spelled.get(low)
  if (known?.high === high) return known.text
  const text = hex32(high) + hex32(low)
  if (spelled.size >= spelledMax) spelled.clear()
  spelled.set(low, { high, text })
  return text
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}

/**
 * Reads and checks a whole frame (F1).
 * @throws {CodedError} ERR_FRAME_MALFORMED or ERR_FRAME_VERSION, with what was found.
 */
export function parseFrame(bytes: Uint8Array): FrameHeader {
  if (bytes.length < headerBytesV1)
    throw malformed(`${bytes.length} bytes are fewer than a header's ${headerBytesV1}`)
  if (bytes[0] !== frameMagic) throw malformed(`it starts with byte ${bytes[0]}, not ${frameMagic}`)
  if (bytes[1] !== frameVersion) {
    throw new CodedError(
      'ERR_FRAME_VERSION',
      `Cannot read a frame of version ${bytes[1]}: this build reads version 1`,
    )
  }
  const flags = uint16At(bytes, 2)
  if ((flags & ~flagsKnown) !== 0) throw malformed(`flags ${flags} hold a bit that this build does not know`)
  const headerBytes = uint16At(bytes, 4)
  if (headerBytes < headerBytesV1 || headerBytes % 4 !== 0 || headerBytes > bytes.length) {
    throw malformed(`its header claims ${headerBytes} bytes`)
  }
  const bodyBytes = uint32At(bytes, 40)
  if (headerBytes + bodyBytes !== bytes.length) {
    throw malformed(`it claims ${headerBytes + bodyBytes} bytes and has ${bytes.length}: truncated or padded`)
  }
  const sequence = uint32At(bytes, 32) + uint32At(bytes, 36) * two32
  const count = uint32At(bytes, 28)
  if (!Number.isSafeInteger(sequence + count)) throw malformed('its sequence is beyond 2^53')
  const header: FrameHeader = {
    flags,
    headerBytes,
    partition: uint16At(bytes, 6),
    producer: idText(uint32At(bytes, 12), uint32At(bytes, 8)),
    origin: idText(uint32At(bytes, 20), uint32At(bytes, 16)),
    epoch: uint32At(bytes, 24),
    count,
    sequence,
    bodyBytes,
    creditVersion: bytes[44]! || 1,
  }
  if ((flags & (frameFlags.beacon | frameFlags.marker)) !== 0) {
    if (count !== 0) throw malformed(`a beacon or marker claims ${count} records`)
    return header
  }
  checkRecords(bytes, headerBytes, count)
  return header
}

// Byte by byte, the lowest first: a view of a small frame costs more than reading it, and is garbage.
function uint16At(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8)
}

function uint32At(bytes: Uint8Array, at: number): number {
  return (uint16At(bytes, at) | (uint16At(bytes, at + 2) << 16)) >>> 0
}

function checkRecords(bytes: Uint8Array, start: number, count: number): void {
  const end = bytes.length
  let at = start
  for (let i = 0; i < count; i++) {
    if (end - at < recordHeaderBytes) throw malformed(`record ${i} of ${count} starts beyond its end`)
    const valueBytes = uint32At(bytes, at)
    const left = end - at
    // Compared alone first: recordBytes computes in signed 32 bits.
    const taken = valueBytes > left ? valueBytes : recordBytes(uint16At(bytes, at + 4), valueBytes)
    if (taken > left) throw malformed(`record ${i} of ${count} claims ${taken} bytes, ${left} are left`)
    at += taken
  }
  if (at !== end) throw malformed(`${end - at} bytes follow its last record`)
}

/** Bytes that a record takes in a frame; for values below 2^31 bytes. */
export function recordBytes(keyBytes: number, valueBytes: number): number {
  return (recordHeaderBytes + keyBytes + valueBytes + 3) & ~3
}

/** The fields that a producer stamps on a finished body. Ids are two 32-bit halves, parsed once. */
export interface FrameStamp {
  readonly flags: number
  readonly partition: number
  readonly producer: Id64
  readonly origin: Id64
  readonly epoch: number
  readonly count: number
  readonly sequence: number
  /** Absent: 1. */
  readonly creditVersion?: number
}

/** A 64-bit id as two unsigned 32-bit halves. */
export interface Id64 {
  readonly low: number
  readonly high: number
}

/** Parses 16 hex digits. */
export function parseId64(hex: string): Id64 {
  if (!/^[0-9a-f]{16}$/.test(hex)) throw new TypeError(`Cannot parse id '${hex}': expected 16 hex digits`)
  return { high: Number.parseInt(hex.slice(0, 8), 16), low: Number.parseInt(hex.slice(8), 16) }
}

/** Writes a version 1 header into the first 48 bytes of `frame`, whose body already lies behind it. */
export function stampHeader(frame: Uint8Array, stamp: FrameStamp): void {
  const { producer, origin, sequence } = stamp
  frame[0] = frameMagic
  frame[1] = frameVersion
  putUint16(frame, 2, stamp.flags)
  putUint16(frame, 4, headerBytesV1)
  putUint16(frame, 6, stamp.partition)
  putUint32(frame, 8, producer.low)
  putUint32(frame, 12, producer.high)
  putUint32(frame, 16, origin.low)
  putUint32(frame, 20, origin.high)
  putUint32(frame, 24, stamp.epoch)
  putUint32(frame, 28, stamp.count)
  putUint32(frame, 32, sequence % two32)
  putUint32(frame, 36, Math.floor(sequence / two32))
  putUint32(frame, 40, frame.length - headerBytesV1)
  putUint32(frame, 44, stamp.creditVersion ?? 0)
}

function putUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

function putUint32(bytes: Uint8Array, at: number, value: number): void {
  putUint16(bytes, at, value)
  putUint16(bytes, at + 2, value >>> 16)
}

/** A record as a client holds it. */
export interface RawRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Event time, whole milliseconds since 1970. */
  readonly timeMs: number
}

/**
 * Writes one record at `at`.
 * @returns The offset behind it.
 * @throws {CodedError} ERR_RECORD_TOO_LARGE if key or value exceed what a frame can carry.
 */
export function writeRecord(target: Uint8Array, view: DataView, at: number, record: RawRecord): number {
  const { key, value, timeMs } = record
  const end = at + recordBytes(key.length, value.length)
  view.setUint32(at, value.length, true)
  view.setUint16(at + 4, key.length, true)
  view.setUint16(at + 6, 0, true)
  const high = Math.floor(timeMs / two32)
  view.setUint32(at + 8, timeMs - high * two32, true)
  view.setInt32(at + 12, high, true)
  target.set(key, at + recordHeaderBytes)
  target.set(value, at + recordHeaderBytes + key.length)
  target.fill(0, at + recordHeaderBytes + key.length + value.length, end)
  return end
}

/**
 * Refuses a record that no frame can carry.
 * @throws {CodedError} ERR_RECORD_TOO_LARGE
 */
export function checkRecordSize(keyBytes: number, valueBytes: number): void {
  if (keyBytes > keyBytesMax) {
    throw new CodedError(
      'ERR_RECORD_TOO_LARGE',
      `Cannot send a key of ${keyBytes} bytes: at most ${keyBytesMax}`,
    )
  }
  const most = frameBytesMax - headerBytesV1
  if (recordBytes(keyBytes, valueBytes) > most) {
    throw new CodedError(
      'ERR_RECORD_TOO_LARGE',
      `Cannot send a record of ${keyBytes + valueBytes} bytes: at most ${most - recordHeaderBytes} with its key`,
    )
  }
}

/** Frames a few records: header space first, unstamped. For the hot path see FrameBuilder and the runtime. */
export function frameOf(records: readonly RawRecord[]): Uint8Array {
  let bytes = headerBytesV1
  for (const { key, value } of records) {
    checkRecordSize(key.length, value.length)
    bytes += recordBytes(key.length, value.length)
  }
  const frame = new Uint8Array(bytes)
  const view = new DataView(frame.buffer)
  let at = headerBytesV1
  for (const record of records) at = writeRecord(frame, view, at, record)
  return frame
}

/** Walks the records of a frame that `parseFrame` has accepted. Keys and values are views of the frame. */
export function* recordsOf(bytes: Uint8Array, header: FrameHeader): Generator<RawRecord> {
  const walk = new RecordWalk(bytes, header)
  for (let index = 0; index < header.count; index++) yield walk.to(index)
}

/** Where the record at `at` of an accepted frame ends. */
export function recordEnd(bytes: Uint8Array, at: number): number {
  return at + recordBytes(uint16At(bytes, at + 4), uint32At(bytes, at))
}

/** The record at `at` of an accepted frame: key and value are views. */
export function recordAt(bytes: Uint8Array, at: number): RawRecord {
  const keyAt = at + recordHeaderBytes
  const valueAt = keyAt + uint16At(bytes, at + 4)
  return {
    key: bytes.subarray(keyAt, valueAt),
    value: bytes.subarray(valueAt, valueAt + uint32At(bytes, at)),
    timeMs: uint32At(bytes, at + 8) + (uint32At(bytes, at + 12) | 0) * two32,
  }
}

/** Finds records of a parsed frame: cheapest in their order. */
export class RecordWalk {
  readonly #bytes: Uint8Array
  readonly #start: number
  #at: number
  #index = 0

  constructor(bytes: Uint8Array, { headerBytes }: FrameHeader) {
    this.#bytes = bytes
    this.#at = this.#start = headerBytes
  }

  /** Where the record begins. @param index From 0. */
  offset(index: number): number {
    const bytes = this.#bytes
    let at = this.#at
    let passed = this.#index
    if (index < passed) {
      at = this.#start
      passed = 0
    }
    for (; passed < index; passed++) at = recordEnd(bytes, at)
    this.#index = index
    this.#at = at
    return at
  }

  /** Makes views only of this record. */
  to(index: number): RawRecord {
    return recordAt(this.#bytes, this.offset(index))
  }
}
