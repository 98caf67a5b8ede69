/**
 * The records of the throughput benchmark: 100-byte values, 16-byte keys drawn by Zipf's law from 100,000, event time in
 * the record; each value carries the record's number in its (producer, partition), which the sink checks.
 *
 * Records are made before the clock starts, as many as `tapeRecordsMax`, and sent round and round; only the numbers are
 * written anew for each lap. A lap is longer than what may be on its way at a time, so a frame is never written while
 * somebody still has to send it.
 * @module
 */
import {
  frameBytesAimed,
  headerBytesV1,
  recordBytes,
  recordHeaderBytes,
  stampHeader,
  writeRecord,
} from '../../../sdk/wire/frame.ts'
import { partitionOf } from '../../../sdk/wire/hash.ts'

export const partitions = 16
export const keys = 100_000
export const keyBytes = 16
export const valueBytes = 100
/** Bytes of a record in a frame, and where its number lies in it. */
export const recordStride = recordBytes(keyBytes, valueBytes)
export const numberAt = recordHeaderBytes + keyBytes
/** Where in a record's header its event time stands. */
export const timeAt = 8
/** Where in a value an open-loop load writes when the record was due. */
export const dueAt = 8
const tapeRecordsMax = 500_000
const timeMs = 1_700_000_000_000
const blank = new Uint8Array(valueBytes)
const zipfExponent = 1

export interface TapeFrame {
  readonly partition: number
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
  readonly words: Uint32Array
  readonly count: number
}

/** A reproducible source of numbers in [0, 1): xorshift32. */
export function randomSource(seed: number): () => number {
  let state = seed | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** Frames for a run of so many records. */
export function makeTape(seed: number, records: number): TapeFrame[] {
  return new TapeMaker(seed).frames(Math.min(tapeRecordsMax, records))
}

export class TapeMaker {
  readonly #random: () => number
  readonly #cumulative = zipf()

  constructor(seed: number) {
    this.#random = randomSource(seed)
  }

  /** The next records, in frames of 64 KiB or less, by partition as they fill up. */
  frames(records: number): TapeFrame[] {
    const open = new Map<number, OpenFrame>()
    const frames: TapeFrame[] = []
    for (let i = 0; i < records; i++) {
      const key = keyOf(pick(this.#cumulative, this.#random()))
      const partition = partitionOf(key, partitions)
      let frame = open.get(partition)
      if (frame !== undefined && frame.at + recordStride > frameBytesAimed) {
        frames.push(tapeFrame(partition, frame))
        frame = undefined
      }
      if (frame === undefined) {
        frame = newFrame(Math.min(frameBytesAimed, headerBytesV1 + records * recordStride))
        open.set(partition, frame)
      }
      frame.at = writeRecord(frame.bytes, frame.view, frame.at, { key, value: blank, timeMs })
      frame.count += 1
    }
    for (const [partition, frame] of open) frames.push(tapeFrame(partition, frame))
    return frames
  }
}

/** Numbers the records of a frame of the tape from `first`. The top bit tells the two producers apart. */
export function writeNumbers({ words, count }: TapeFrame, first: number): void {
  let at = (headerBytesV1 + numberAt) >> 2
  for (let i = 0; i < count; i++, at += recordStride >> 2) words[at] = first + i
}

/** How many records the first frames of a tape hold that together have `records` or more: whole frames are sent. */
export function plannedRecords(tape: readonly TapeFrame[], records: number): number {
  let planned = 0
  for (let i = 0; planned < records; i++) planned += tape[i % tape.length]!.count
  return planned
}

/** One record in so many is poison: the function of the poison benchmark throws at it. */
export const poisonEvery = 100
/** What stands where others have their number. */
const poison = 0xffffffff

/**
 * Numbers the records of a frame from `first`, but one in a hundred is poison and has none.
 * @param position How many poisoned records, numbered or not, were sent before.
 * @returns How many have a number.
 */
export function writePoisoned({ words, count }: TapeFrame, first: number, position: number): number {
  let at = (headerBytesV1 + numberAt) >> 2
  let next = first
  for (let i = 0; i < count; i++, at += recordStride >> 2)
    words[at] = (position + i) % poisonEvery === poisonEvery - 1 ? poison : next++
  return next - first
}

export interface OpenFrame {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
  at: number
  count: number
}

const nobody = { low: 0, high: 0 }

/** With a header, for those who send frames without a channel. */
export function tapeFrame(partition: number, { bytes: open, at, count }: OpenFrame): TapeFrame {
  const bytes = open.slice(0, at)
  stampHeader(bytes, { flags: 0, partition, producer: nobody, origin: nobody, epoch: 0, count, sequence: 0 })
  return { partition, bytes, view: new DataView(bytes.buffer), words: new Uint32Array(bytes.buffer), count }
}

export function newFrame(sizeBytes: number): OpenFrame {
  const bytes = new Uint8Array(sizeBytes)
  return { bytes, view: new DataView(bytes.buffer), at: headerBytesV1, count: 0 }
}

function keyOf(rank: number): Uint8Array {
  return new TextEncoder().encode(`key-${String(rank).padStart(keyBytes - 4, '0')}`)
}

function zipf(): Float64Array {
  const cumulative = new Float64Array(keys)
  let sum = 0
  for (let i = 0; i < keys; i++) cumulative[i] = sum += 1 / (i + 1) ** zipfExponent
  for (let i = 0; i < keys; i++) cumulative[i]! /= sum
  return cumulative
}

function pick(cumulative: Float64Array, at: number): number {
  let low = 0
  let high = cumulative.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (cumulative[middle]! < at) low = middle + 1
    else high = middle
  }
  return low
}
