/**
 * RecordIO: the framing of the event stream: the length of a record in decimal, a newline, the record.
 *
 *   R1. The same records come out however the chunks are cut.
 *   R2. At most one record and its length are kept between chunks. A record larger than `recordBytesMax` is refused
 *       when its length is read, before its bytes.
 * @module
 */
import { CodedError } from '../../sdk/errors.ts'
import type { SchedulerErrorCode } from '../errors.ts'

export const recordBytesMax = 64 * 1024 * 1024
/** Digits of the largest length. */
const lengthDigitsMax = String(recordBytesMax).length
const newline = 0x0a
const zero = 0x30
const nine = 0x39

export class RecordReader {
  #length = 0
  #digits = 0
  /** The current record; undefined while its length is read. */
  #record: Uint8Array | undefined
  #filled = 0

  /**
   * Adds a chunk.
   * @returns The records that it completes.
   * @throws {CodedError} ERR_RECORDIO_MALFORMED: the rest of the stream cannot be read.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const records: Uint8Array[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#record === undefined) {
        this.#readLengthByte(chunk[at++] as number)
      } else {
        const taken = Math.min(chunk.length - at, this.#record.length - this.#filled)
        this.#record.set(chunk.subarray(at, at + taken), this.#filled)
        this.#filled += taken
        at += taken
      }
      if (this.#record !== undefined && this.#filled === this.#record.length) {
        records.push(this.#record)
        this.#record = undefined
        this.#filled = 0
      }
    }
    return records
  }

  #readLengthByte(byte: number): void {
    if (byte >= zero && byte <= nine && this.#digits < lengthDigitsMax) {
      this.#length = this.#length * 10 + (byte - zero)
      this.#digits += 1
      return
    }
    if (byte !== newline || this.#digits === 0)
      throw malformed(`byte ${byte} stands where its length should be`)
    if (this.#length > recordBytesMax) throw malformed(`it claims ${this.#length} bytes`)
    this.#record = new Uint8Array(this.#length)
    this.#length = 0
    this.#digits = 0
  }
}

function malformed(what: string): CodedError<SchedulerErrorCode> {
  return new CodedError(
    'ERR_RECORDIO_MALFORMED',
    `Cannot read a record of the cluster's event stream: ${what}`,
  )
}
