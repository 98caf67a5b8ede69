/**
 * NatsParser: reads what a NATS server sends (the client protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol),
 * in pieces as they arrive at a socket.
 *
 *     control line ──MSG──► payload ──► CRLF ──► control line
 *
 * Invariants:
 *  A1. Messages do not depend on how the bytes were cut into pieces.
 *  A2. Nothing of a piece is kept: payloads are copied once, into memory from `memory` that the receiver owns. A message's
 *      line is read in place: for a small frame, making strings would be most of the work.
 *  A3. Anything else than the protocol throws; the connection is then unusable.
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

/** Longest control line: INFO may list a whole cluster. */
const lineBytesMax = 1024 * 1024
const [lf, cr, space] = [10, 13, 32]
/** Bytes of `MSG `, as one word. */
const messageWord = 0x4d534720
const subjectsMax = 4096

export class NatsParser {
  readonly #handler: NatsHandler
  readonly #memory: (bytes: number) => Uint8Array
  /** The beginning of an incomplete control line. */
  #line = ''
  #sid = 0
  #subject = ''
  /** The subject of each subscription's last message: usually the same again. */
  readonly #subjects = new Map<number, string>()
  #payload: Uint8Array | undefined
  /** Bytes of the payload received so far; then of its CRLF. */
  #filled = 0
  #trailer = 0

  constructor(handler: NatsHandler, memory: (bytes: number) => Uint8Array) {
    this.#handler = handler
    this.#memory = memory
  }

  /** Reads the first `end` bytes of a piece. @throws {Error} If they are not the protocol (A3). */
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
    if (this.#line === '' && found - at > 4 && piece.readInt32BE(at) === messageWord) {
      this.#begin(piece, at + 4, piece[found - 1] === cr ? found - 1 : found)
      return found + 1
    }
    const line = this.#line + latin1(piece, at, found)
    this.#line = ''
    this.#control(line.charCodeAt(line.length - 1) === cr ? line.slice(0, -1) : line)
    return found + 1
  }

  #control(line: string): void {
    if (line.startsWith('MSG ')) return this.#begin(Buffer.from(line, 'latin1'), 4, line.length)
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

  /** `MSG <subject> <sid> [reply-to] <bytes>`, behind its first word. */
  #begin(piece: Buffer, at: number, end: number): void {
    const subjectEnd = piece.indexOf(space, at)
    const sidEnd = piece.indexOf(space, subjectEnd + 1)
    const sid = subjectEnd < 0 || sidEnd < 0 || sidEnd > end ? -1 : decimal(piece, subjectEnd + 1, sidEnd)
    const bytes = sid < 0 ? -1 : decimal(piece, piece.lastIndexOf(space, end - 1) + 1, end)
    if (bytes < 0) throw new Error(`a message 'MSG ${latin1(piece, at, Math.min(end, at + 76))}'`)
    this.#subject = this.#subjectOf(sid, piece, at, subjectEnd)
    this.#sid = sid
    this.#payload = this.#memory(bytes)
    this.#filled = 0
    this.#trailer = 2
  }

  #subjectOf(sid: number, piece: Buffer, at: number, end: number): string {
    const last = this.#subjects.get(sid)
    if (last !== undefined && isSpelled(last, piece, at, end)) return last
    const subject = latin1(piece, at, end)
    if (this.#subjects.size >= subjectsMax) this.#subjects.clear()
    this.#subjects.set(sid, subject)
    return subject
  }

  #read(piece: Buffer, at: number, end: number): number {
    const payload = this.#payload!
    const part = Math.min(end - at, payload.length - this.#filled)
    if (part > 0) {
      piece.copy(payload, this.#filled, at, at + part)
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

function isSpelled(text: string, piece: Buffer, at: number, end: number): boolean {
  if (text.length !== end - at) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== piece[at + i]) return false
  return true
}

/** A whole number below 2^31 written there, else -1. */
function decimal(piece: Buffer, from: number, to: number): number {
  let value = from < to ? 0 : -1
  for (let i = from; i < to; i++) {
    const digit = piece[i]! - 48
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
    if (value > 0x7fffffff) return -1
  }
  return value
}
