/**
 * InQueue: frames that a consumer has accepted and its caller has not taken, in order of arrival. Frames that came with a partition
 * that was handed over go first: they have waited longest, and no other frame of their channels is here.
 * @module
 */
import type { FrameHeader } from '../../../sdk/wire/frame.ts'
import type { InChannel } from './in-channel.ts'

/** A frame that the caller has taken. */
export interface TakenFrame {
  readonly stream: string
  readonly partition: number
  /** The whole frame, checked by `parseFrame`. */
  readonly bytes: Uint8Array
  readonly header: FrameHeader
  /** Records at its start that an owner processed before. */
  readonly skip: number
  /** Records done here, after `skip`; updated by `done`. */
  finished: number
}

/** A frame with its channel. */
export interface QueuedFrame extends TakenFrame {
  readonly channel: InChannel
}

/** The sequence of the first record of a frame that is not done. */
export function nextOf({ header, skip, finished }: TakenFrame): number {
  return header.sequence + skip + finished
}

/** One past its last record. */
export function endOf({ header }: TakenFrame): number {
  return header.sequence + header.count
}

/** How often the next record of a frame has ended its owner; the producer remembers it. */
export function attemptsAt(frame: TakenFrame): number {
  const { tried } = (frame as QueuedFrame).channel
  return tried?.sequence === nextOf(frame) ? tried.attempts : 0
}

/** Notes that the next record of a frame has ended its owner; the next owner is told how often it was tried. */
export function rememberAttempts(frame: TakenFrame, attempts: number): void {
  const { channel } = frame as QueuedFrame
  channel.tried = { sequence: nextOf(frame), attempts }
}

/** When this many taken frames are at the front of the array, it is shortened. */
const headMax = 4096

export class InQueue {
  #frames: QueuedFrame[] = []
  /** Frames that came with partitions that were handed over. */
  #moved: QueuedFrame[] = []
  #head = 0
  #bytes = 0

  get frames(): number {
    return this.#moved.length + this.#frames.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  add(frame: QueuedFrame): void {
    this.#frames.push(frame)
    this.#bytes += frame.bytes.length
  }

  addMoved(frame: QueuedFrame): void {
    this.#moved.push(frame)
    this.#bytes += frame.bytes.length
  }

  /** Takes frames that came with partitions that were handed over. */
  takeMoved(): TakenFrame[] {
    const taken = this.#moved
    this.#moved = []
    for (const frame of taken) {
      frame.channel.taken = endOf(frame)
      this.#bytes -= frame.bytes.length
    }
    return taken
  }

  /** Takes frames until `bytesMax` is reached, at least one if there is any; handed-over ones alone. */
  take(bytesMax: number): TakenFrame[] {
    if (this.#moved.length > 0) return this.takeMoved()
    const taken: TakenFrame[] = []
    let bytes = 0
    while (this.#head < this.#frames.length) {
      const frame = this.#frames[this.#head]!
      if (taken.length > 0 && bytes + frame.bytes.length > bytesMax) break
      taken.push(frame)
      frame.channel.taken = endOf(frame)
      bytes += frame.bytes.length
      this.#head += 1
    }
    this.#bytes -= bytes
    if (this.#head === this.#frames.length || this.#head > headMax) this.#cut(this.#frames.slice(this.#head))
    return taken
  }

  /** Removes frames. @returns Those removed. */
  drop(which: (frame: TakenFrame) => boolean): TakenFrame[] {
    const dropped = [...this.#moved, ...this.#frames.slice(this.#head)].filter(which)
    this.#moved = this.#moved.filter((frame) => !which(frame))
    if (dropped.length > 0) this.#cut(this.#frames.slice(this.#head).filter((frame) => !which(frame)))
    for (const { bytes } of dropped) this.#bytes -= bytes.length
    return dropped
  }

  #cut(rest: QueuedFrame[]): void {
    this.#frames = rest
    this.#head = 0
  }
}
