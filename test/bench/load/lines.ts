/**
 * Lines of text as a tape: keyed or not, each record numbered in its event time, which functions pass on by default.
 * @module
 */
import { frameBytesAimed, headerBytesV1, recordBytes, writeRecord } from '../../../sdk/wire/frame.ts'
import { partitionOf } from '../../../sdk/wire/hash.ts'
import { newFrame, type OpenFrame, partitions, type TapeFrame, tapeFrame, timeAt } from './workload.ts'

/** Event times are this and a number: a time in 2004. */
export const firstTimeMs = 2 ** 40

export type KeyedBy = 'firstWord' | 'nothing'

/** Whatever a line starts with, its key is not longer than this. */
const keyCharsMax = 200
const utf8 = new TextEncoder()
const noKey = new Uint8Array(0)

export function keyOf(line: string, keyedBy: KeyedBy): Uint8Array {
  if (keyedBy === 'nothing') return noKey
  const end = line.indexOf(' ')
  return utf8.encode(line.slice(0, Math.min(end < 0 ? line.length : end, keyCharsMax)))
}

/** Frames of 64 KiB or less, by partition as they fill up. */
export function tapeOfLines(lines: readonly string[], keyedBy: KeyedBy): TapeFrame[] {
  const open = new Map<number, OpenFrame>()
  const tape: TapeFrame[] = []
  for (const line of lines) {
    const record = { key: keyOf(line, keyedBy), value: utf8.encode(line), timeMs: firstTimeMs }
    const bytes = recordBytes(record.key.length, record.value.length)
    const partition = partitionOf(record.key, partitions)
    let frame = open.get(partition)
    if (frame !== undefined && frame.at + bytes > frame.bytes.length) {
      tape.push(tapeFrame(partition, frame))
      frame = undefined
    }
    if (frame === undefined) {
      frame = newFrame(Math.max(frameBytesAimed, headerBytesV1 + bytes))
      open.set(partition, frame)
    }
    frame.at = writeRecord(frame.bytes, frame.view, frame.at, record)
    frame.count += 1
  }
  for (const [partition, frame] of open) tape.push(tapeFrame(partition, frame))
  return tape
}

/** Numbers the records of a frame from `first`, in the low word of their event times. */
export function writeTimes({ view, count }: TapeFrame, first: number): void {
  let at = headerBytesV1
  for (let i = 0; i < count; i++) {
    view.setUint32(at + timeAt, first + i, true)
    at += recordBytes(view.getUint16(at + 4, true), view.getUint32(at, true))
  }
}
