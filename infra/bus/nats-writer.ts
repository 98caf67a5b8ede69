/**
 * NatsWriter: writes to one connection to a NATS server: all of one turn of the event loop in one system call.
 *
 * Control lines and short payloads are joined in blocks of its own, long payloads are written where they lie: a turn that
 * sends a dozen small frames hands the socket one piece.
 *
 *  X1. What was written leaves in that order.
 *  X2. A block is written anew only when the socket holds nothing of it.
 * @module
 */
import type { Socket } from 'node:net'

const blockBytes = 64 * 1024
/** Payloads up to here are joined with their control line. */
const joinedBytesMax = 2048
/** Beside the subject: PUB, spaces, a length, two ends of lines. */
const lineBytesMax = 32

export class NatsWriter {
  readonly #socket: Socket
  #block = Buffer.allocUnsafeSlow(blockBytes)
  /** What of the block the socket was not given yet. */
  #from = 0
  #end = 0
  #corked = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  publish(subject: string, payload: Uint8Array): void {
    const { length } = payload
    const isShort = length <= joinedBytesMax
    this.#line(`PUB ${subject} ${length}`, isShort ? length : 0)
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
    this.#line(text, 0)
  }

  #line(text: string, more: number): void {
    const bytes = text.length * 3 + lineBytesMax + more // a subject may be beyond ASCII
    if (this.#end + bytes > this.#block.length) {
      this.#give()
      this.#block = Buffer.allocUnsafeSlow(Math.max(blockBytes, bytes))
      this.#from = this.#end = 0
    }
    if (!this.#corked) this.#cork()
    this.#end += this.#block.write(text, this.#end)
    this.#endLine()
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
