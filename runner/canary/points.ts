/**
 * Points of a batch's records (sdk/wire/key-share.ts), in their order.
 * @module
 */

import { lineOf } from '../../sdk/runtime/index.ts'
import { recordBytes, recordHeaderBytes, recordsOf } from '../../sdk/wire/frame.ts'
import { type KeyShare, pointOf } from '../../sdk/wire/key-share.ts'
import type { BatchResult, InputFrame, RecordFailure } from '../isolate/index.ts'

export function pointsOf(frames: readonly InputFrame[], salt: number): Uint16Array {
  let count = 0
  for (const { header, skip } of frames) count += header.count - skip
  const points = new Uint16Array(count)
  let next = 0
  for (const { bytes, header, skip } of frames) {
    let at = header.headerBytes
    for (let i = 0; i < header.count; i++) {
      const valueBytes = wordAt(bytes, at)
      const keyBytes = bytes[at + 4]! | (bytes[at + 5]! << 8)
      if (i >= skip) points[next++] = pointOf(bytes, at + recordHeaderBytes, keyBytes, salt)
      at += recordBytes(keyBytes, valueBytes)
    }
  }
  return points
}

export function isOf({ from, to }: KeyShare, point: number): boolean {
  return point >= from && point < to
}

export function hasPointOf(share: KeyShare, points: Uint16Array): boolean {
  return points.some((point) => isOf(share, point))
}

/** How many records of other shares were done, without those that come again. */
export function othersIn(points: Uint16Array, share: KeyShare, { records, failures }: BatchResult): number {
  const again = failures.filter(({ action }) => action === 'setAside' || action === 'behind')
  const putOff = new Set(again.map(({ index }) => index))
  return points.subarray(0, records).filter((point, index) => !isOf(share, point) && !putOff.has(index))
    .length
}

/** Of records that were set aside, or wait behind one that was: what those behind them wait for. */
export function linesOf(frames: readonly InputFrame[], failures: readonly RecordFailure[]): string[] {
  const aside = new Set(failures.filter(({ action }) => action === 'setAside').map(({ index }) => index))
  if (aside.size === 0) return []
  const lines: string[] = []
  let index = 0
  for (const { bytes, header, skip, partition } of frames) {
    const records = [...recordsOf(bytes, header)].slice(skip)
    for (const { key } of records) if (aside.has(index++)) lines.push(lineOf(partition, key))
  }
  return lines
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
