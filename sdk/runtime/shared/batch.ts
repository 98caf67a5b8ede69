/**
 * Batch: frames in the input region, after a table that says where each begins.
 *
 * The host writes the batch into shared memory; the runtime copies all of it into private memory before a callback
 * sees it.
 * @module
 */
import { frameBytesMax } from '../../wire/frame.ts'
import { asideIsLast, inputRowAside, inputRowWords } from './layout.ts'

/** Room for one frame of any size, or for the frames of a good batch. */
export const inputBytes = frameBytesMax + 4096

/** A frame that `parseFrame` has accepted. */
export interface BatchFrame {
  readonly bytes: Uint8Array
  /** Records at the start of the frame to skip. */
  readonly skip: number
  /** For a record that was set aside: its attempts so far. */
  readonly tried?: number | undefined
  /** It has its last attempt. */
  readonly last?: boolean | undefined
}

export interface BatchSize {
  /** How many of the frames fit. */
  readonly frames: number
  /** The bytes used, a multiple of 4. */
  readonly bytes: number
}

/**
 * Writes as many of the frames as fit. Frames start at multiples of 4.
 * @param streamOf The number of a frame's input stream, in the table of inputs.
 * @param copy Copies a frame to a position; a host has a faster way into shared memory.
 */
export function writeBatch<Frame extends BatchFrame>(
  words: Int32Array,
  bytes: Uint8Array,
  frames: readonly Frame[],
  streamOf: (frame: Frame) => number,
  copy = (from: Uint8Array, to: Uint8Array, at: number): unknown => to.set(from, at),
): BatchSize {
  const count = countFitting(bytes.length, frames)
  let at = count * inputRowWords * 4
  for (let i = 0; i < count; i++) {
    const frame = frames[i]!
    const row = i * inputRowWords
    words[row] = streamOf(frame)
    words[row + 1] = at
    words[row + 2] = frame.skip
    words[row + inputRowAside] =
      frame.tried === undefined ? 0 : (frame.tried + 1) | (frame.last ? asideIsLast : 0)
    copy(frame.bytes, bytes, at)
    at += (frame.bytes.length + 3) & ~3
  }
  return { frames: count, bytes: at }
}

function countFitting(capacity: number, frames: readonly BatchFrame[]): number {
  let used = 0
  let count = 0
  for (const frame of frames) {
    used += inputRowWords * 4 + ((frame.bytes.length + 3) & ~3)
    if (used > capacity) break
    count++
  }
  return count
}
