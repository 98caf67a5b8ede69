/**
 * Frames in a file, with when they came: so that whoever receives a hundred thousand records a second has little to do with
 * each while the time counts, and looks at them later.
 *
 *     f64 when, in ms   u32 partition   u32 records to skip   u32 bytes of the frame   the frame
 * @module
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'

const headBytes = 20
/** Written in pieces of this size, each in a fraction of a millisecond. */
const pieceBytes = 256 * 1024

export interface ReceivedFrame {
  readonly atMs: number
  readonly partition: number
  readonly skip: number
  readonly bytes: Uint8Array
}

export class FrameWriter {
  readonly #file: number
  readonly #piece = new Uint8Array(2 * pieceBytes)
  readonly #view = new DataView(this.#piece.buffer)
  #at = 0

  constructor(path: string) {
    this.#file = openSync(path, 'w')
  }

  /** @param frame Of less than a piece; its bytes are copied. */
  add({ atMs, partition, skip, bytes }: ReceivedFrame): void {
    this.#view.setFloat64(this.#at, atMs, true)
    this.#view.setUint32(this.#at + 8, partition, true)
    this.#view.setUint32(this.#at + 12, skip, true)
    this.#view.setUint32(this.#at + 16, bytes.length, true)
    this.#piece.set(bytes, this.#at + headBytes)
    this.#at += headBytes + bytes.length
    if (this.#at > pieceBytes) this.#write()
  }

  close(): void {
    this.#write()
    closeSync(this.#file)
  }

  #write(): void {
    for (let from = 0; from < this.#at; ) from += writeSync(this.#file, this.#piece, from, this.#at - from)
    this.#at = 0
  }
}

/** What a FrameWriter wrote, in its order. */
export function* framesOf(path: string): Generator<ReceivedFrame> {
  const file = openSync(path, 'r')
  const head = new DataView(new ArrayBuffer(headBytes))
  try {
    while (readSync(file, head) === headBytes) {
      const bytes = new Uint8Array(head.getUint32(16, true))
      readSync(file, bytes)
      const [atMs, partition, skip] = [
        head.getFloat64(0, true),
        head.getUint32(8, true),
        head.getUint32(12, true),
      ]
      yield { atMs, partition, skip, bytes }
    }
  } finally {
    closeSync(file)
  }
}
