/**
 * Batch: frames as they lie in the input region, behind a table that says where each begins.
 *
 * The host writes it into shared memory, the runtime copies it whole into private memory before a callback sees it.
 * @module
 */
import { frameBytesMax } from '../../wire/frame.ts'
import { asideIsLast, inputRowAside, inputRowWords } from './layout.ts'

/** Fits one frame of any size, or the frames that make a good batch. */
export const inputBytes = frameBytesMax + 4096

/** A frame that `parseFrame` has accepted. */
export interface BatchFrame {
  readonly bytes: Uint8Array
  /** Records at its start that are not for the function (any more). */
  readonly skip: number
  /** Of a record that was set aside: how often it was tried. */
  readonly tried?: number | undefined
  /** It is not to be tried again. */
  readonly last?: boolean | undefined
}

export interface BatchSize {
  /** How many of the frames fitted. */
  readonly frames: number
  /** Bytes used, a multiple of 4. */
  readonly bytes: number
}

/**
 * Writes as many of the frames as fit. Frames start at multiples of 4.
 * @param streamOf A frame's input stream: its place in the table of inputs.
 * @param copy Writes a frame to a place; a host has a quicker way into shared memory.
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
