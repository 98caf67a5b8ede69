/**
 * Alone: puts a record into a frame of its own, if it must not affect others or is retried later.
 * @module
 */
import type { TakenFrame } from '../../infra/bus/index.ts'
import {
  frameOf,
  parseFrame,
  parseId64,
  type RawRecord,
  recordsOf,
  stampHeader,
} from '../../sdk/wire/frame.ts'

export interface AloneFrame extends TakenFrame {
  /** How often the record was tried. */
  readonly tried?: number
  /** True if it must not be retried. */
  readonly last?: boolean
}

/** The next record of a frame, in a frame of its own. */
export function aloneOf(frame: TakenFrame, tried: number): AloneFrame {
  const from = frame.skip + frame.finished
  const record = [...recordsOf(frame.bytes, frame.header)][from]!
  return { ...frameAlone(frame, record, frame.header.sequence + from), tried }
}

/** A copy of a record, in a frame of its own. */
export function frameAlone(frame: TakenFrame, record: RawRecord, sequence: number): AloneFrame {
  const { partition, header } = frame
  const bytes = frameOf([record])
  const [producer, origin] = [parseId64(header.producer), parseId64(header.origin)]
  const stamp = { flags: 0, partition, producer, origin, epoch: header.epoch }
  stampHeader(bytes, { ...stamp, count: 1, sequence })
  return { ...frame, bytes, header: parseFrame(bytes), skip: 0, finished: 0 }
}

/** Marks records as finished. @returns The unfinished frames. */
export function advance(frames: readonly AloneFrame[], records: number): AloneFrame[] {
  let left = records
  return frames.filter((frame) => {
    const done = Math.min(left, frame.header.count - frame.skip - frame.finished)
    left -= done
    frame.finished += done
    return frame.skip + frame.finished < frame.header.count
  })
}

/** Marks the first `records` of a batch as finished. @returns The unfinished frames, to be processed before anything newer. */
export function finish(
  batch: readonly TakenFrame[],
  records: number,
  done: (frame: TakenFrame, records: number) => void,
): TakenFrame[] {
  let left = records
  const rest: TakenFrame[] = []
  for (const frame of batch) {
    const open = frame.header.count - frame.skip - frame.finished
    const now = Math.min(left, open)
    left -= now
    if (now > 0) done(frame, now)
    if (now < open) rest.push(frame)
  }
  return rest
}

/** How many frames from the first one on fit `bytesMax` bytes; at least one, if there is any. */
export function countWithin(frames: readonly TakenFrame[], bytesMax: number): number {
  let bytes = 0
  const beyond = frames.findIndex((frame, index) => {
    bytes += frame.bytes.length
    return bytes > bytesMax && index > 0
  })
  return beyond < 0 ? frames.length : beyond
}
