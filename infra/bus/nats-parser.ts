/**
 * NatsParser: reads what a NATS server sends (the client protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol),
 * in pieces as a socket brings them.
 *
 *     control line ──MSG──► payload ──► CRLF ──► control line
 *
 * Invariants:
 *  A1. Messages are the same however the bytes were cut into pieces.
 *  A2. Nothing of a piece is kept: payloads are copied out once, into memory that `memory` gives and the receiver owns.
 *  A3. What is no protocol throws; the connection is then of no use.
 * @module
 */

export interface NatsHandler {
  info(json: string): void
  message(sid: number, subject: string, payload: Uint8Array): void
  ping(): void
  pong(): void
  /** `-ERR`, without the quotes. */
  error(text: string): void
}

/** A server's control lines are at most so long, but for INFO, which may list a cluster. */
const lineBytesMax = 1024 * 1024
const [lf, cr] = [10, 13]

export class NatsParser {
  readonly #handler: NatsHandler
  readonly #memory: (bytes: number) => Uint8Array
  /** The beginning of a control line whose end has not come. */
  #line = ''
  #sid = 0
  #subject = ''
  #payload: Uint8Array | undefined
  /** Bytes of the payload that have come; then of its CRLF. */
  #filled = 0
  #trailer = 0

  constructor(handler: NatsHandler, memory: (bytes: number) => Uint8Array) {
    this.#handler = handler
    this.#memory = memory
  }

  /** Reads the first `end` bytes of a piece. @throws {Error} If it is not what a NATS server would send (A3). */
  feed(piece: Buffer, end: number): void {
    let at = 0
    while (at < end)
      at = this.#payload === undefined ? this.#readLine(piece, at, end) : this.#read(piece, at, end)
  }

  #readLine(piece: Buffer, at: number, end: number): number {
    const found = piece.indexOf(lf, at)
    if (found < 0 || found >= end) {
      this.#line += latin1(piece, at, end)
      if (this.#line.length > lineBytesMax) throw new Error(`a control line of ${this.#line.length} bytes`)
      return end
    }
    const line = this.#line + latin1(piece, at, found)
    this.#line = ''
    this.#control(line.charCodeAt(line.length - 1) === cr ? line.slice(0, -1) : line)
    return found + 1
  }

  #control(line: string): void {
    if (line.startsWith('MSG ')) return this.#begin(line)
    const gap = line.indexOf(' ')
    const word = gap < 0 ? line : line.slice(0, gap)
    switch (word) {
      case 'PING':
        return this.#handler.ping()
      case 'PONG':
        return this.#handler.pong()
      case '+OK':
        return
      case 'INFO':
        return this.#handler.info(line.slice(5))
      case '-ERR':
        return this.#handler.error(line.slice(5).replaceAll("'", ''))
      default:
        throw new Error(`a control line '${line.slice(0, 40)}'`)
    }
  }

  /** `MSG <subject> <sid> [reply-to] <bytes>` */
  #begin(line: string): void {
    const sidAt = line.indexOf(' ', 4) + 1
    const sidEnd = line.indexOf(' ', sidAt)
    const bytes = decimal(line, line.lastIndexOf(' ') + 1, line.length)
    const sid = decimal(line, sidAt, sidEnd)
    if (sidAt === 0 || bytes < 0 || sid < 0) throw new Error(`a message '${line.slice(0, 80)}'`)
    this.#subject = line.slice(4, sidAt - 1)
    this.#sid = sid
    this.#payload = this.#memory(bytes)
    this.#filled = 0
    this.#trailer = 2
  }

  #read(piece: Buffer, at: number, end: number): number {
    const payload = this.#payload!
    const part = Math.min(end - at, payload.length - this.#filled)
    if (part > 0) {
      payload.set(piece.subarray(at, at + part), this.#filled)
      this.#filled += part
    }
    const skipped = Math.min(end - at - part, this.#trailer)
    this.#trailer -= skipped
    if (this.#trailer === 0) {
      this.#payload = undefined
      this.#handler.message(this.#sid, this.#subject, payload)
    }
    return at + part + skipped
  }
}

function latin1(piece: Buffer, from: number, to: number): string {
  return piece.toString('latin1', from, to)
}

/** A whole number below 2^31 written there, else -1. */
function decimal(text: string, from: number, to: number): number {
  let value = from < to ? 0 : -1
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
    if (value > 0x7fffffff) return -1
  }
  return value
}
