/**
 * RecordIO: the framing of the cluster's event stream: the length of a record in decimal, a newline, the record.
 *
 *  R1. Chunks may be cut anywhere; the records that come out are the same.
 *  R2. What is kept between chunks is at most one record and its length; a record beyond `recordBytesMax` is refused
 *      when its length is read, before its bytes are.
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
  /** The record at hand; undefined while its length is read. */
  #record: Uint8Array | undefined
  #filled = 0

  /**
   * Takes a chunk and answers the records that it completes.
   * @throws {CodedError} ERR_RECORDIO_MALFORMED: the stream cannot be read on.
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
