/**
 * UTF-8 to and from bytes, as the Encoding Standard has it: what is ill-formed becomes U+FFFD, one for each maximal
 * part. V8 alone has no TextDecoder.
 * @see https://encoding.spec.whatwg.org/#utf-8-decoder
 * @module
 */
import { stringOf } from './primordials.ts'

/** Writes `text` at `at`; a lone surrogate becomes U+FFFD. @returns The offset behind it. */
export function utf8Write(text: string, bytes: Uint8Array, at: number): number {
  const length = text.length
  let i = 0
  // Four at a time while they are ASCII: a quarter faster.
  for (const end = length - 3; i < end; i += 4, at += 4) {
    const first = text.charCodeAt(i)
    const second = text.charCodeAt(i + 1)
    const third = text.charCodeAt(i + 2)
    const fourth = text.charCodeAt(i + 3)
    if ((first | second | third | fourth) >= 0x80) break
    bytes[at] = first
    bytes[at + 1] = second
    bytes[at + 2] = third
    bytes[at + 3] = fourth
  }
  for (; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) {
      bytes[at++] = unit
    } else if (unit < 0x800) {
      bytes[at++] = 0xc0 | (unit >> 6)
      bytes[at++] = 0x80 | (unit & 0x3f)
    } else {
      let point = unit
      if ((unit & 0xf800) === 0xd800) {
        const low = unit < 0xdc00 && i + 1 < length ? text.charCodeAt(i + 1) : 0
        if ((low & 0xfc00) === 0xdc00) {
          point = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff)
          i++
        } else {
          point = 0xfffd
        }
      }
      if (point < 0x10000) {
        bytes[at++] = 0xe0 | (point >> 12)
      } else {
        bytes[at++] = 0xf0 | (point >> 18)
        bytes[at++] = 0x80 | ((point >> 12) & 0x3f)
      }
      bytes[at++] = 0x80 | ((point >> 6) & 0x3f)
      bytes[at++] = 0x80 | (point & 0x3f)
    }
  }
  return at
}

/** The bytes that `text` takes. */
export function utf8Length(text: string): number {
  let bytes = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) bytes += 1
    else if (unit < 0x800) bytes += 2
    else if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 4
      i++
    } else bytes += 3
  }
  return bytes
}

/** Encodes `text` into bytes of its own. */
export function utf8Encode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(utf8Length(text))
  utf8Write(text, bytes, 0)
  return bytes
}

/** Code units that are collected for one string: the arguments of a call must fit on the stack. */
const chunkUnits = 2048

/** Decodes a stream of bytes. `fatal`: throw at the first ill-formed part. */
export class Utf8Decoder {
  readonly #fatal: boolean
  #point = 0
  #needed = 0
  #seen = 0
  #lower = 0x80
  #upper = 0xbf

  constructor(fatal = false) {
    this.#fatal = fatal
  }

  /**
   * Decodes `bytes[from, to)`; an unfinished character waits for the next call, unless this one is the `last`.
   * @throws {TypeError} If `fatal` and the bytes are ill-formed.
   */
  decode(bytes: Uint8Array, from: number, to: number, last: boolean): string {
    let text = ''
    let units: number[] = []
    for (let i = from; i < to; i++) {
      if (units.length >= chunkUnits) {
        text += stringOf(units)
        units = []
      }
      const byte = bytes[i]!
      if (this.#needed === 0) {
        if (byte < 0x80) units.push(byte)
        else if (!this.#lead(byte)) this.#malformed(units)
        continue
      }
      if (byte < this.#lower || byte > this.#upper) {
        this.#reset()
        this.#malformed(units)
        i-- // it may start a character itself
        continue
      }
      this.#lower = 0x80
      this.#upper = 0xbf
      this.#point = (this.#point << 6) | (byte & 0x3f)
      if (++this.#seen < this.#needed) continue
      const point = this.#point
      this.#reset()
      if (point < 0x10000) units.push(point)
      else units.push(0xd7c0 + (point >> 10), 0xdc00 | (point & 0x3ff))
    }
    if (last && this.#needed !== 0) {
      this.#reset()
      this.#malformed(units)
    }
    return text + stringOf(units)
  }

  /** @returns Whether `byte` may be the first of a character. */
  #lead(byte: number): boolean {
    if (byte >= 0xc2 && byte <= 0xdf) {
      this.#needed = 1
      this.#point = byte & 0x1f
    } else if (byte >= 0xe0 && byte <= 0xef) {
      if (byte === 0xe0) this.#lower = 0xa0
      if (byte === 0xed) this.#upper = 0x9f
      this.#needed = 2
      this.#point = byte & 0xf
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      if (byte === 0xf0) this.#lower = 0x90
      if (byte === 0xf4) this.#upper = 0x8f
      this.#needed = 3
      this.#point = byte & 0x7
    } else {
      return false
    }
    return true
  }

  #malformed(units: number[]): void {
    if (this.#fatal) {
      this.#reset()
      throw new TypeError('Cannot decode these bytes: they are not UTF-8')
    }
    units.push(0xfffd)
  }

  #reset(): void {
    this.#point = this.#needed = this.#seen = 0
    this.#lower = 0x80
    this.#upper = 0xbf
  }
}

const whole = new Utf8Decoder()

/** Decodes `bytes[from, to)`. */
export function utf8Read(bytes: Uint8Array, from = 0, to = bytes.length): string {
  return whole.decode(bytes, from, to, true)
}
