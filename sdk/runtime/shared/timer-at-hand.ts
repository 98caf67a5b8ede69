/**
 * TimerAtHand: the timer of the current callback, in shared memory. If the isolate ends during the callback, the host
 * can say which timer it was.
 *
 *   i32 arena, -1: none | i32 bytes of the key | f64 time | the key in UTF-8
 *
 *   TA1. It is written before the callback is called; the host only trusts that it has the form of a timer.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { keyBytesMax } from '../../wire/frame.ts'
import { utf8Read, utf8Write } from '../realm/utf8.ts'

export interface Timer {
  readonly partition: number
  readonly key: string
  readonly timeMs: number
}

const headBytes = 16
export const timerAtHandBytes = headBytes + keyBytesMax + 1

export class TimerAtHand {
  readonly #words: Int32Array
  readonly #floats: Float64Array
  readonly #bytes: Uint8Array

  /** @param from The offset of its region in the memory. */
  constructor(memory: ArrayBufferLike, from: number) {
    this.#words = new Int32Array(memory, from, 2)
    this.#floats = new Float64Array(memory, from, 2)
    this.#bytes = new Uint8Array(memory, from, timerAtHandBytes)
  }

  put({ partition, key, timeMs }: Timer): void {
    this.#words[0] = partition
    this.#words[1] = utf8Write(key, this.#bytes, headBytes) - headBytes
    this.#floats[1] = timeMs
  }

  clear(): void {
    this.#words[0] = -1
  }

  /** For the host. @returns Undefined if there is none, or it cannot be a timer. */
  read(): Timer | undefined {
    const partition = this.#words[0]!
    const keyBytes = this.#words[1]!
    const timeMs = this.#floats[1]!
    if (partition < 0 || keyBytes < 0 || keyBytes > keyBytesMax || !Number.isSafeInteger(timeMs))
      return undefined
    return { partition, key: utf8Read(this.#bytes, headBytes, headBytes + keyBytes), timeMs }
  }
}
