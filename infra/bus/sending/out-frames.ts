/**
 * OutFrames: the frames of an OutPartition that are held (not sent yet) or retained (sent, not acknowledged), in order of sequence:
 *
 *     acknowledged by all │ retained: sent │ held: not sent
 *                         base           cursor           end        (frame numbers, never reused)
 *
 * @module
 */
import { frameBytesAimed, headerBytesV1 } from '../../../sdk/wire/frame.ts'

/** A frame of which only the header is still to be stamped. */
export interface OutFrame {
  /** Header space and body; only the first `length` bytes count. */
  buffer: Uint8Array
  length: number
  count: number
  readonly sequence: number
  /** Bytes of this partition up to and with this frame. */
  endBytes: number
  /** Order in which the producer handed it to the wire; Infinity while held. */
  ticket: number
}

export class OutFrames {
  #frames: OutFrame[] = []
  #base = 0
  #cursor = 0
  #next = 0
  #bytes = 0
  /** One past the last record of which an owner's word does not say that the server has read what the socket was given last. */
  #pongHigh = 0
  readonly #forget: (bytes: Uint8Array) => void

  /** @param forget Hears of memory that no frame lies in any more. */
  constructor(forget: (bytes: Uint8Array) => void) {
    this.#forget = forget
  }

  /** The sequence that the next record will have. */
  get next(): number {
    return this.#next
  }

  /** Of all frames that were ever added. */
  get bytes(): number {
    return this.#bytes
  }

  /** Held and retained. */
  get bufferedBytes(): number {
    return this.#frames.length === 0 ? 0 : this.#bytes - startBytes(this.#frames[0]!)
  }

  /** Of frames that were never sent. */
  get heldBytes(): number {
    let bytes = 0
    for (let i = this.#frames.length - 1; i >= 0 && isHeld(this.#frames[i]!); i--)
      bytes += this.#frames[i]!.length
    return bytes
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0
  }

  get oldest(): number {
    return this.#frames[0]?.sequence ?? this.#next
  }

  /** The next one to be sent, or sent again. */
  get unsent(): OutFrame | undefined {
    return this.#frames[this.#cursor - this.#base]
  }

  /** Takes a frame: header space first, unstamped. Small frames that are held grow together. */
  add(frame: Uint8Array, count: number): void {
    const body = frame.length - headerBytesV1
    const last = this.#frames.at(-1)
    this.#next += count
    this.#bytes += body
    if (last !== undefined && isHeld(last) && last.length + body <= frameBytesAimed) {
      this.#append(last, frame.subarray(headerBytesV1))
      this.#forget(frame)
      last.count += count
      last.endBytes += body
      return
    }
    this.#bytes += headerBytesV1
    this.#frames.push({
      buffer: frame,
      length: frame.length,
      count,
      sequence: this.#next - count,
      endBytes: this.#bytes,
      ticket: Number.POSITIVE_INFINITY,
    })
  }

  /** `unsent` goes out. */
  advance(ticket: number): void {
    this.unsent!.ticket = ticket
    this.#cursor += 1
  }

  /** Somebody goes on behind all that was added: it tells of what is held without having heard it. */
  passHeld(): void {
    this.#pongHigh = this.#next
  }

  /** All that is retained goes out again. */
  rewind(): void {
    this.#goBack(this.#base)
  }

  /** What lies at or behind a position goes out again. */
  rewindTo(position: number): void {
    const index = this.#frames.findIndex((frame) => endOf(frame) > position)
    if (index >= 0) this.#goBack(this.#base + index)
  }

  /**
   * Forgets what was sent, lies before a position, and was read by the server.
   * @param heard All before this record owners have told of.
   */
  trim(position: number, confirmedTicket: number, heard: number): void {
    let drop = 0
    while (drop < this.#cursor - this.#base) {
      const frame = this.#frames[drop]!
      const end = endOf(frame)
      // Of what went out twice an owner may tell of the first, while the socket holds the second.
      const isRead = frame.ticket <= confirmedTicket || (end <= heard && end > this.#pongHigh)
      if (end > position || !isRead) break
      drop += 1
    }
    if (drop === 0) return
    for (const { buffer } of this.#frames.splice(0, drop)) this.#forget(buffer)
    this.#base += drop
  }

  /** Bytes before the frame that holds `position`: a frame counts as outstanding until its last record is done. */
  bytesBefore(position: number): number {
    for (const frame of this.#frames) if (endOf(frame) > position) return startBytes(frame)
    return this.#bytes
  }

  #goBack(cursor: number): void {
    if (cursor >= this.#cursor) return
    this.#pongHigh = Math.max(this.#pongHigh, endOf(this.#frames[this.#cursor - 1 - this.#base]!))
    this.#cursor = cursor
  }

  #append(frame: OutFrame, body: Uint8Array): void {
    const length = frame.length + body.length
    if (length > frame.buffer.length) {
      const grown = new Uint8Array(Math.min(frameBytesAimed, Math.max(length, frame.buffer.length * 2)))
      grown.set(frame.buffer.subarray(0, frame.length))
      this.#forget(frame.buffer)
      frame.buffer = grown
    }
    frame.buffer.set(body, frame.length)
    frame.length = length
  }
}

/** Bytes of the partition before a frame. */
export function startBytes(frame: OutFrame): number {
  return frame.endBytes - frame.length
}

/** One past its last record. */
function endOf({ sequence, count }: OutFrame): number {
  return sequence + count
}

function isHeld({ ticket }: OutFrame): boolean {
  return ticket === Number.POSITIVE_INFINITY
}
