/**
 * OutFrames: the frames of an OutPartition that are held (not sent yet) or retained (sent, not acknowledged), in order of sequence:
 *
 *     acknowledged by all │ retained: sent │ held: not sent
 *                         base           cursor           end        (frame numbers, never reused)
 *
 * @module
 */
import { frameBytesAimed, headerBytesV1 } from '../../../sdk/wire/frame.ts'

/** A frame whose header is not stamped yet. */
export interface OutFrame {
  /** Header space and body; only the first `length` bytes count. */
  buffer: Uint8Array
  length: number
  count: number
  /** When its oldest record was taken. */
  takenMs: number
  readonly sequence: number
  /** Bytes of this partition up to and including this frame. */
  endBytes: number
  /** The ticket under which it was published; Infinity while held. */
  ticket: number
}

export class OutFrames {
  #frames: OutFrame[] = []
  #base = 0
  #cursor = 0
  #next = 0
  #bytes = 0
  /** Up to this record a credit does not prove that the server has read the latest copy of a frame. */
  #pongHigh = 0
  readonly #forget: (bytes: Uint8Array) => void

  /** @param forget Called with memory that no frame uses any more. */
  constructor(forget: (bytes: Uint8Array) => void) {
    this.#forget = forget
  }

  /** The sequence that the next record will have. */
  get next(): number {
    return this.#next
  }

  /** Bytes of all frames ever added. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes of held and retained frames. */
  get bufferedBytes(): number {
    return this.#frames.length === 0 ? 0 : this.#bytes - startBytes(this.#frames[0]!)
  }

  /** Bytes of frames that were never sent. */
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

  /** The next frame to be sent, or sent again. */
  get unsent(): OutFrame | undefined {
    return this.#frames[this.#cursor - this.#base]
  }

  /** Takes a frame: header space first, unstamped. Small held frames are joined. @param takenMs When its producer took it. */
  add(frame: Uint8Array, count: number, takenMs: number): void {
    const body = frame.length - headerBytesV1
    const last = this.#frames.at(-1)
    this.#next += count
    this.#bytes += body
    if (last !== undefined && isHeld(last) && last.length + body <= frameBytesAimed) {
      this.#append(last, frame.subarray(headerBytesV1))
      this.#forget(frame)
      last.count += count
      last.takenMs = Math.min(last.takenMs, takenMs)
      last.endBytes += body
      return
    }
    this.#bytes += headerBytesV1
    this.#frames.push({
      buffer: frame,
      length: frame.length,
      count,
      takenMs,
      sequence: this.#next - count,
      endBytes: this.#bytes,
      ticket: Number.POSITIVE_INFINITY,
    })
  }

  /** Notes that `unsent` was sent. */
  advance(ticket: number): void {
    this.unsent!.ticket = ticket
    this.#cursor += 1
  }

  /** A new consumer starts behind everything added so far: its credits mention held frames that it has not heard. */
  passHeld(): void {
    this.#pongHigh = this.#next
  }

  /** Sends everything retained again. */
  rewind(): void {
    this.#goBack(this.#base)
  }

  /** Sends everything from a position on again. */
  rewindTo(position: number): void {
    const index = this.#frames.findIndex((frame) => endOf(frame) > position)
    if (index >= 0) this.#goBack(this.#base + index)
  }

  /**
   * Forgets frames that were sent, are before a position, and were read by the server.
   * @param heard Owners have mentioned every record before this one.
   */
  trim(position: number, confirmedTicket: number, heard: number): void {
    let drop = 0
    while (drop < this.#cursor - this.#base) {
      const frame = this.#frames[drop]!
      const end = endOf(frame)
      // Of a frame that was sent twice an owner may mention the first copy, while the socket still holds the second.
      const isRead = frame.ticket <= confirmedTicket || (end <= heard && end > this.#pongHigh)
      if (end > position || !isRead) break
      drop += 1
    }
    if (drop === 0) return
    for (const { buffer } of this.#frames.splice(0, drop)) this.#forget(buffer)
    this.#base += drop
  }

  /** Bytes before the frame with `position`: a frame is outstanding until its last record is done. */
  bytesBefore(position: number): number {
    for (const frame of this.#frames) if (endOf(frame) > position) return startBytes(frame)
    return this.#bytes
  }

  /**
   * When the oldest frame from the one with `position` on was taken; undefined if that one is not there yet, or forgotten. It
   * need not be the first: what a gateway adopted comes behind what it took itself.
   */
  takenMs(position: number): number | undefined {
    const first = this.#frames.findIndex((frame) => endOf(frame) > position)
    if (first < 0 || this.#frames[first]!.sequence > position) return undefined
    let oldest = this.#frames[first]!.takenMs
    for (let i = first + 1; i < this.#frames.length; i++) oldest = Math.min(oldest, this.#frames[i]!.takenMs)
    return oldest
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
