/**
 * Frames for the benches of this folder: over 16 partitions, keys of 8 bytes, skewed as real ones are.
 * @module
 */
import { type RawRecord, recordBytes } from '../../../sdk/wire/frame.ts'
import { partitionOf } from '../../../sdk/wire/hash.ts'
import type { InputFrame } from '../index.ts'
import { frame, nowMs } from '../testing/harness.ts'

export const partitions = 16
export const recordsPerFrame = Math.floor((64 * 1024 - 48) / recordBytes(8, 100))

/** @param valueAt The value of the n-th record, from 1: 100 bytes. */
export function makeFrames(count: number, valueAt: (n: number) => Uint8Array): InputFrame[] {
  const utf8 = new TextEncoder()
  let seed = 1
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0
    return (seed >>> 0) / 2 ** 32
  }
  const frames: InputFrame[] = []
  const waiting: RawRecord[][] = Array.from({ length: partitions }, () => [])
  for (let n = 1; frames.length < count; n++) {
    const key = utf8.encode(String(Math.floor(100_000 ** random())).padStart(8, '0'))
    const partition = partitionOf(key, partitions)
    const records = waiting[partition]!
    if (records.push({ key, value: valueAt(n), timeMs: nowMs }) < recordsPerFrame) continue
    frames.push(frame(records, partition))
    waiting[partition] = []
  }
  return frames
}
