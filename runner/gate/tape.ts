/**
 * Tape: the last frames that an instance was done with, kept to be processed again by another version.
 *
 *   TA1. At most so many bytes are held, and nothing older than so long before the newest.
 *   TA2. Nothing is copied: a frame that is done with is kept in the memory that it came in, which is given back when it goes.
 *   TA3. What somebody reads stays as it is: while there are readers, memory that goes is left to the garbage collector.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { giveBackMemory, type TakenFrame } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import { parseFrame } from '../../sdk/frame.ts'
import type { TapeBounds } from '../../sdk/manifest.ts'
import type { InputFrame } from '../isolate/index.ts'

export interface TapeFrame extends InputFrame {
  /** When it was done. */
  readonly atMs: number
}

interface Kept extends Pick<TakenFrame, 'stream' | 'partition' | 'bytes' | 'skip'> {
  readonly atMs: number
}

/** Beside its memory. */
const frameBytes = 256
/** Frames that have gone, before the list is made anew. */
const goneMax = 4_096

export class Tape {
  readonly #bounds: () => TapeBounds
  readonly #clock: Pick<Clock, 'nowMs'>
  #kept: (Kept | undefined)[] = []
  /** How many at the beginning of it have gone; nothing is left of them. */
  #gone = 0
  #bytes = 0
  #readers = 0
  #lostMs = Number.NEGATIVE_INFINITY

  constructor(clock: Pick<Clock, 'nowMs'>, bounds: () => TapeBounds) {
    this.#clock = clock
    this.#bounds = bounds
  }

  /** Takes a frame over that is done with. */
  keep({ stream, partition, bytes, skip }: TakenFrame): void {
    const bounds = this.#bounds()
    const atMs = this.#clock.nowMs()
    this.#kept.push({ stream, partition, bytes, skip, atMs })
    this.#bytes += bytesOf(bytes)
    while (this.#gone < this.#kept.length) {
      const oldest = this.#kept[this.#gone]!
      if (this.#bytes <= bounds.bytes && atMs - oldest.atMs <= bounds.ms) break
      this.#drop(oldest)
      this.#kept[this.#gone++] = undefined
    }
    if (this.#gone > goneMax || this.#gone === this.#kept.length) {
      this.#kept = this.#kept.slice(this.#gone)
      this.#gone = 0
    }
  }

  /** When the newest was done of those that have gone; minus infinity: none has. */
  get lostMs(): number {
    return this.#lostMs
  }

  /** All that is there, for `use`, in the order in which it was done. */
  async read<T>(use: (frames: readonly TapeFrame[]) => Promise<T>): Promise<T> {
    this.#readers++
    try {
      const kept = this.#kept.slice(this.#gone)
      return await use(kept.map((one) => ({ ...one!, header: parseFrame(one!.bytes) })))
    } finally {
      this.#readers--
    }
  }

  #drop({ bytes, atMs }: Kept): void {
    this.#bytes -= bytesOf(bytes)
    this.#lostMs = atMs
    if (this.#readers === 0) giveBackMemory(bytes)
  }
}

function bytesOf({ buffer }: Uint8Array): number {
  return buffer.byteLength + frameBytes
}
