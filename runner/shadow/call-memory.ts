/**
 * CallMemory: reused memory for copies of calls. Fresh memory costs page faults and full garbage collections.
 * @module
 */
import { giveBackMemory, takeMemory } from '../../infra/bus/index.ts'
import type { InputFrame } from '../isolate/index.ts'

/** Buffers for logs of the usual size, and how many of them are kept. */
const logBytes = 1280 * 1024
const logsKept = 8
/** Logs up to this size are moved to memory that fits. */
const smallBytesMax = 64 * 1024
/** A call's objects, beside its frames and its log. */
const callBytes = 512
const logs: ArrayBuffer[] = []

/** Copies a frame, since the worker gives back its memory; without the attempts that were made at its records. */
export function copyFrame({ tried: _, last: __, bytes, ...frame }: InputFrame): InputFrame {
  const copy = takeMemory(bytes.length)
  copy.set(bytes)
  return { ...frame, bytes: copy }
}

/** Joins the pieces of an outcome log. */
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

  /** The whole log. A small one is moved to memory that fits, since there are many calls of a few records. */
  end(): Uint8Array<ArrayBuffer> {
    const log = this.#bytes.subarray(0, this.#length)
    if (log.length > smallBytesMax) return log
    const small = takeMemory(log.length)
    small.set(log)
    giveBackLog(log)
    return small
  }
}

/** Memory of a call that waits to be repeated. */
export function bytesHeld(frames: readonly InputFrame[], log: Uint8Array<ArrayBuffer>): number {
  return frames.reduce((sum, { bytes }) => sum + bytes.buffer.byteLength, log.buffer.byteLength + callBytes)
}

/** Gives back the memory of a call; nobody may have a view of it any more. */
export function giveBack(frames: readonly InputFrame[], log: Uint8Array<ArrayBuffer>): void {
  for (const { bytes } of frames) giveBackMemory(bytes)
  giveBackMemory(log)
  giveBackLog(log)
}

function giveBackLog({ buffer }: Uint8Array<ArrayBuffer>): void {
  if (buffer.byteLength === logBytes && logs.length < logsKept) logs.push(buffer)
}
