/**
 * A growing byte writer and a checking reader, for the small binary messages of the channels.
 * @module
 */
import { CodedError } from '../../../sdk/errors.ts'

const two32 = 2 ** 32
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Encoded names: they are few, and written again and again. */
const spelled = new Map<string, Uint8Array>()
const spelledMax = 1024
/**
 * The last name read of each length and first letter, as far as these differ here: the entries of a message mostly have the same
 * stream, and the same reason of drops.
 */
const lastNames: ({ readonly text: string; readonly bytes: Uint8Array } | undefined)[] = new Array(256)

export class ByteWriter {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  /** Starts a new message in the same memory: fresh memory for thousands of messages a second would burden the collector. */
  begin(): this {
    this.#at = 0
    return this
  }

  u8(value: number): void {
    this.#room(1)
    this.#bytes[this.#at++] = value
  }

  u16(value: number): void {
    this.#room(2)
    this.#view.setUint16(this.#at, value, true)
    this.#at += 2
  }

  u32(value: number): void {
    this.#room(4)
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
  }

  /** Counts of records; 2^48 of them are nine years at a million a second. */
  u48(value: number): void {
    this.u32(value % two32)
    this.u16(Math.floor(value / two32))
  }

  /** A name of at most 255 bytes, after its length. */
  name(text: string): void {
    const bytes = bytesOf(text)
    if (bytes.length > 255) throw new RangeError(`Cannot encode a name of ${bytes.length} bytes: at most 255`)
    this.u8(bytes.length)
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#at)
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const grown = new Uint8Array(this.#bytes.length * 2 + bytes)
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #what: string
  #at = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#what = what
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  u48(): number {
    const low = this.u32()
    return low + this.u16() * two32
  }

  name(): string {
    const length = this.u8()
    const at = this.#take(length)
    const place = (length + 31 * (this.#bytes[at] ?? 0)) & 255
    const last = lastNames[place]
    if (last?.bytes.length === length && this.#spells(last.bytes, at)) return last.text
    const bytes = this.#bytes.slice(at, at + length)
    const text = decoder.decode(bytes)
    lastNames[place] = { text, bytes }
    return text
  }

  /** Whether these bytes stand at `at`. */
  #spells(bytes: Uint8Array, at: number): boolean {
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== this.#bytes[at + i]) return false
    return true
  }

  /** @throws ERR_MESSAGE_MALFORMED unless everything was read. */
  end(): void {
    if (this.#at !== this.#bytes.length)
      throw this.#malformed(`${this.#bytes.length - this.#at} bytes are left over`)
  }

  #take(bytes: number): number {
    const at = this.#at
    if (at + bytes > this.#bytes.length)
      throw this.#malformed(`it ends at byte ${this.#bytes.length}, inside a field`)
    this.#at += bytes
    return at
  }

  #malformed(why: string): CodedError<'ERR_MESSAGE_MALFORMED'> {
    return new CodedError('ERR_MESSAGE_MALFORMED', `Cannot read ${this.#what}: ${why}`)
  }
}

function bytesOf(name: string): Uint8Array {
  const known = spelled.get(name)
  if (known !== undefined) return known
  const bytes = encoder.encode(name)
  if (spelled.size >= spelledMax) spelled.clear()
  spelled.set(name, bytes)
  return bytes
}
