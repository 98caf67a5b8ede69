/**
 * Encoding: TextEncoder, TextDecoder, atob and btoa, which V8 alone does not have.
 * @see https://encoding.spec.whatwg.org/ and https://infra.spec.whatwg.org/#forgiving-base64
 * @module
 */
import { stringOf } from '../realm/primordials.ts'
import { Utf8Decoder, utf8Encode, utf8Write } from '../realm/utf8.ts'
import { DOMException } from './dom-exception.ts'

export class TextEncoder {
  get encoding(): 'utf-8' {
    return 'utf-8'
  }

  encode(input = ''): Uint8Array<ArrayBuffer> {
    return utf8Encode(String(input))
  }

  encodeInto(source: string, destination: Uint8Array): { read: number; written: number } {
    let read = 0
    let written = 0
    const point = new Uint8Array(4)
    for (const character of String(source)) {
      const bytes = utf8Write(character, point, 0)
      if (written + bytes > destination.length) break
      for (let i = 0; i < bytes; i++) destination[written++] = point[i]!
      read += character.length
    }
    return { read, written }
  }
}

interface Decoder {
  decode(bytes: Uint8Array, from: number, to: number, last: boolean): string
}

/** UTF-16, little-endian. An odd byte or half a pair is kept for the next chunk. */
class Utf16Decoder implements Decoder {
  readonly #fatal: boolean
  #byte: number | undefined
  #high: number | undefined

  constructor(fatal: boolean) {
    this.#fatal = fatal
  }

  decode(bytes: Uint8Array, from: number, to: number, last: boolean): string {
    let text = ''
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!
      if (this.#byte === undefined) {
        this.#byte = byte
        continue
      }
      const unit = this.#byte | (byte << 8)
      this.#byte = undefined
      text += this.#unit(unit)
    }
    if (last && (this.#byte !== undefined || this.#high !== undefined)) {
      this.#byte = this.#high = undefined
      text += this.#malformed()
    }
    return text
  }

  #unit(unit: number): string {
    const high = this.#high
    this.#high = undefined
    const isLow = (unit & 0xfc00) === 0xdc00
    if (high !== undefined && isLow) return stringOf([high, unit])
    const before = high === undefined ? '' : this.#malformed()
    if ((unit & 0xfc00) === 0xd800) {
      this.#high = unit
      return before
    }
    return before + (isLow ? this.#malformed() : stringOf([unit]))
  }

  #malformed(): string {
    if (!this.#fatal) return '\ufffd'
    this.#byte = this.#high = undefined
    throw new TypeError('Cannot decode these bytes: they are not UTF-16')
  }
}

const labels: Readonly<Record<string, 'utf-8' | 'utf-16le'>> = {
  'utf-8': 'utf-8',
  utf8: 'utf-8',
  'unicode-1-1-utf-8': 'utf-8',
  unicode11utf8: 'utf-8',
  unicode20utf8: 'utf-8',
  'x-unicode20utf8': 'utf-8',
  'utf-16le': 'utf-16le',
  'utf-16': 'utf-16le',
  'ucs-2': 'utf-16le',
  'iso-10646-ucs-2': 'utf-16le',
  csunicode: 'utf-16le',
  unicode: 'utf-16le',
  unicodefeff: 'utf-16le',
}

/** @throws {RangeError} If functions cannot decode it. */
export function encodingOf(label: unknown): 'utf-8' | 'utf-16le' {
  const asked = String(label).trim().toLowerCase()
  const encoding = Object.hasOwn(labels, asked) ? labels[asked] : undefined
  if (encoding === undefined)
    throw new RangeError(`Cannot decode '${label}': the encodings here are utf-8 and utf-16le`)
  return encoding
}

export class TextDecoder {
  readonly encoding: 'utf-8' | 'utf-16le'
  readonly fatal: boolean
  readonly ignoreBOM: boolean
  #decoder: Decoder | undefined
  #bomSeen = false

  constructor(label = 'utf-8', options: { readonly fatal?: boolean; readonly ignoreBOM?: boolean } = {}) {
    this.encoding = encodingOf(label)
    this.fatal = Boolean(options.fatal)
    this.ignoreBOM = Boolean(options.ignoreBOM)
  }

  decode(input?: ArrayBuffer | ArrayBufferView, options: { readonly stream?: boolean } = {}): string {
    const stream = Boolean(options.stream)
    this.#decoder ??= this.encoding === 'utf-8' ? new Utf8Decoder(this.fatal) : new Utf16Decoder(this.fatal)
    const bytes = bytesOf(input)
    let text: string
    try {
      text = this.#decoder.decode(bytes, 0, bytes.length, !stream)
    } catch (error) {
      this.#restart()
      throw error
    }
    if (!this.ignoreBOM && !this.#bomSeen && text.length > 0) {
      this.#bomSeen = true
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1)
    }
    if (!stream) this.#restart()
    return text
  }

  #restart(): void {
    this.#decoder = undefined
    this.#bomSeen = false
  }
}

function bytesOf(input: ArrayBuffer | ArrayBufferView | undefined): Uint8Array {
  if (input === undefined) return new Uint8Array(0)
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
  if (input instanceof ArrayBuffer) return new Uint8Array(input)
  throw new TypeError('Cannot decode this: expected an ArrayBuffer or a view of one')
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Encodes bytes, one per character, as Base64. */
export function btoa(data: string): string {
  const text = String(data)
  let base64 = ''
  for (let i = 0; i < text.length; i += 3) {
    const [a, b, c] = [text.charCodeAt(i), text.charCodeAt(i + 1), text.charCodeAt(i + 2)]
    if (a > 255 || b > 255 || c > 255) {
      throw new DOMException(
        'Cannot encode this as Base64: a character is beyond U+00FF',
        'InvalidCharacterError',
      )
    }
    const bits = (a << 16) | (b << 8) | c // NaN counts as 0
    base64 += alphabet[bits >> 18]! + alphabet[(bits >> 12) & 63]!
    base64 += Number.isNaN(b) ? '=' : alphabet[(bits >> 6) & 63]!
    base64 += Number.isNaN(c) ? '=' : alphabet[bits & 63]!
  }
  return base64
}

/** Decodes Base64 to bytes, one per character. White space and missing padding are accepted. */
export function atob(data: string): string {
  let text = String(data).replace(/[\t\n\f\r ]/g, '')
  if (text.length % 4 === 0) text = text.replace(/={1,2}$/, '')
  if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) {
    throw new DOMException('Cannot decode this: it is not Base64', 'InvalidCharacterError')
  }
  let bytes = ''
  let bits = 0
  let count = 0
  for (const character of text) {
    bits = ((bits << 6) | alphabet.indexOf(character)) & 0xffffff
    count += 6
    if (count < 8) continue
    count -= 8
    bytes += stringOf([(bits >> count) & 0xff])
  }
  return bytes
}
