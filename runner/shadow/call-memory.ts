/**
 * CallMemory: what copies of calls lie in, used again: fresh memory costs page faults, and full collections.
 * @module
 */
import { giveBackMemory, takeMemory } from '../../infra/bus/index.ts'
import type { InputFrame } from '../isolate/index.ts'

/** Logs of a usual size are kept for use, so many. */
const logBytes = 1280 * 1024
const logsKept = 8
/** Smaller ones lie in blocks. */
const smallBytesMax = 64 * 1024
/** Beside what it was given and has put out. */
const callBytes = 512
const logs: ArrayBuffer[] = []

/** Of a frame that the worker gives the memory of back when it is done. As if it had never been tried. */
export function copyFrame({ tried: _, last: __, bytes, ...frame }: InputFrame): InputFrame {
  const copy = takeMemory(bytes.length)
  copy.set(bytes)
  return { ...frame, bytes: copy }
}

/** Of pieces of a log, one behind the other. */
export class LogCopy {
  #bytes = new Uint8Array(logs.pop() ?? new ArrayBuffer(logBytes))
  #length = 0

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = larger
    }
    this.#bytes.set(piece, this.#length)
    this.#length = length
  }

  /** All of it, in memory that fits: there are many calls of a few records. */
  end(): Uint8Array<ArrayBuffer> {
    const log = this.#bytes.subarray(0, this.#length)
    if (log.length > smallBytesMax) return log
    const small = takeMemory(log.length)
    small.set(log)
    giveBackLog(log)
    return small
  }
}

/** What a call takes while it waits to be played. */
export function bytesHeld(frames: readonly InputFrame[], log: Uint8Array<ArrayBuffer>): number {
  return frames.reduce((sum, { bytes }) => sum + bytes.buffer.byteLength, log.buffer.byteLength + callBytes)
}

/** Nobody has a view of any of it any more. */
export function giveBack(frames: readonly InputFrame[], log: Uint8Array<ArrayBuffer>): void {
  for (const { bytes } of frames) giveBackMemory(bytes)
  giveBackMemory(log)
  giveBackLog(log)
}

function giveBackLog({ buffer }: Uint8Array<ArrayBuffer>): void {
  if (buffer.byteLength === logBytes && logs.length < logsKept) logs.push(buffer)
}
