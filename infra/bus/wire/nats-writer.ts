/**
 * NatsWriter: writes to a connection to a NATS server, everything of one turn of the event loop in one system call.
 *
 * Control lines and short payloads are joined in blocks, long payloads are written in place: a turn that sends a dozen small
 * frames gives the socket one piece.
 *
 *  X1. Data leaves in the order in which it was written.
 *  X2. A block is reused only when the socket holds nothing of it.
 * @module
 */
import type { Socket } from 'node:net'

const blockBytes = 64 * 1024
/** Payloads up to here are joined with their control line. */
const joinedBytesMax = 2048
/** Room for a length and two line ends, beside the text of a line. */
const lineBytesMax = 32
/** `PUB SUBJECT ` as bytes for recent subjects: for a small frame, encoding it is a good part of the work. */
const heads = new Map<string, Uint8Array>()
const headsMax = 4096

export class NatsWriter {
  readonly #socket: Socket
  #block = Buffer.allocUnsafeSlow(blockBytes)
  /** Start of the part of the block that the socket has not got yet. */
  #from = 0
  #end = 0
  #corked = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  publish(subject: string, payload: Uint8Array): void {
    const { length } = payload
    const isShort = length <= joinedBytesMax
    const head = headOf(subject)
    this.#makeRoom(head.length + lineBytesMax + (isShort ? length : 0))
    this.#block.set(head, this.#end)
    this.#end = writeDecimal(this.#block, this.#end + head.length, length)
    this.#endLine()
    if (isShort) {
      this.#block.set(payload, this.#end)
      this.#end += length
    } else {
      this.#give()
      this.#socket.write(payload)
    }
    this.#endLine()
  }

  /** A line of the protocol, which may be of any length. */
  line(text: string): void {
    this.#makeRoom(text.length * 3 + lineBytesMax) // it may be beyond ASCII
    this.#end += this.#block.write(text, this.#end)
    this.#endLine()
  }

  #makeRoom(bytes: number): void {
    if (this.#end + bytes > this.#block.length) {
      this.#give()
      this.#block = Buffer.allocUnsafeSlow(Math.max(blockBytes, bytes))
      this.#from = this.#end = 0
    }
    if (!this.#corked) this.#cork()
  }

  #endLine(): void {
    this.#block[this.#end++] = 13
    this.#block[this.#end++] = 10
  }

  #cork(): void {
    this.#corked = true
    this.#socket.cork()
    process.nextTick(() => {
      this.#corked = false
      this.#give()
      this.#socket.uncork()
      if (this.#socket.writableLength === 0) this.#from = this.#end = 0 // X2
    })
  }

  #give(): void {
    if (this.#from < this.#end) this.#socket.write(this.#block.subarray(this.#from, this.#end))
    this.#from = this.#end
  }
}

function headOf(subject: string): Uint8Array {
  const known = heads.get(subject)
  if (known !== undefined) return known
  const head = Buffer.from(`PUB ${subject} `)
  if (heads.size >= headsMax) heads.clear()
  heads.set(subject, head)
  return head
}

/** @returns Where the digits end. */
function writeDecimal(bytes: Uint8Array, at: number, value: number): number {
  let end = at + 1
  for (let ten = 10; ten <= value; ten *= 10) end++
  for (let i = end - 1, rest = value; i >= at; i--, rest = Math.floor(rest / 10)) bytes[i] = 48 + (rest % 10)
  return end
}
