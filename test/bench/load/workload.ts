/**
 * The records of the throughput benchmark: 100-byte values, 16-byte keys drawn by Zipf's law from 100,000, event time in
 * the record; each value carries the record's number in its (producer, partition), which the sink checks.
 *
 * Records are made before the clock starts, as many as `tapeRecords`, and sent round and round; only the numbers are
 * written anew for each lap.
 * @module
 */
import {
  frameBytesAimed,
  headerBytesV1,
  recordBytes,
  recordHeaderBytes,
  writeRecord,
} from '../../../sdk/frame.ts'
import { partitionOf } from '../../../sdk/hash.ts'

export const partitions = 16
export const keys = 100_000
export const keyBytes = 16
export const valueBytes = 100
const tapeRecords = 200_000
const zipfExponent = 1

export interface TapeFrame {
  readonly partition: number
  readonly bytes: Uint8Array
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

/** Frames of 64 KiB or less, by partition as they fill up. */
export function makeTape(seed: number): TapeFrame[] {
  const random = randomSource(seed)
  const cumulative = zipf()
  const open = Array.from({ length: partitions }, () => newFrame())
  const tape: TapeFrame[] = []
  for (let i = 0; i < tapeRecords; i++) {
    const key = keyOf(pick(cumulative, random()))
    const partition = partitionOf(key, partitions)
    const frame = open[partition]!
    const value = new Uint8Array(valueBytes)
    if (frame.at + recordBytes(key.length, value.length) > frameBytesAimed) {
      tape.push({ partition, bytes: frame.bytes.slice(0, frame.at), count: frame.count })
      open[partition] = newFrame()
    }
    const target = open[partition]!
    target.at = writeRecord(target.bytes, target.view, target.at, { key, value, timeMs: 1_700_000_000_000 })
    target.count += 1
  }
  for (const [partition, frame] of open.entries()) {
    if (frame.count > 0) tape.push({ partition, bytes: frame.bytes.slice(0, frame.at), count: frame.count })
  }
  return tape
}

/** A copy of a frame of the tape whose records are numbered from `first`. */
export function numbered(frame: TapeFrame, first: number): Uint8Array {
  const bytes = frame.bytes.slice()
  const view = new DataView(bytes.buffer)
  const stride = recordBytes(keyBytes, valueBytes)
  let at = headerBytesV1 + recordHeaderBytes + keyBytes
  for (let i = 0; i < frame.count; i++, at += stride) view.setUint32(at, first + i, true)
  return bytes
}

function newFrame(): { bytes: Uint8Array; view: DataView; at: number; count: number } {
  const bytes = new Uint8Array(frameBytesAimed)
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
