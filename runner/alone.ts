/**
 * Alone: a record in a frame of its own, for one that must not take others along.
 * @module
 */
import type { TakenFrame } from '../infra/bus/index.ts'
import { frameOf, idWords, parseFrame, recordsOf, stampHeader } from '../sdk/frame.ts'

/** The next record of a frame, in a frame of its own. */
export function aloneOf(frame: TakenFrame): TakenFrame {
  const { partition, header, skip, finished } = frame
  const from = skip + finished
  const record = [...recordsOf(frame.bytes, header)][from]!
  const bytes = frameOf([record])
  const [producer, origin] = [idWords(header.producer), idWords(header.origin)]
  const stamp = { flags: 0, partition, producer, origin, epoch: header.epoch }
  stampHeader(bytes, { ...stamp, count: 1, sequence: header.sequence + from })
  return { ...frame, bytes, header: parseFrame(bytes), skip: 0, finished: 0 }
}

/** Marks records as finished. @returns The frames that are not. */
export function advance(frames: readonly TakenFrame[], records: number): TakenFrame[] {
  let left = records
  return frames.filter((frame) => {
    const done = Math.min(left, frame.header.count - frame.skip - frame.finished)
    left -= done
    frame.finished += done
    return frame.skip + frame.finished < frame.header.count
  })
}
