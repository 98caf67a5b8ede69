/**
 * Tape: the last frames that an instance has processed, kept so that another version can be tested on them.
 *
 *     oldest segment [note, frame] [note, frame] … │ … │ newest segment [note, frame] … room
 *
 *   TA1. It holds at most `bytes`, and no frame processed more than `ms` before the newest. For lack of room whole segments are
 *        dropped, oldest first.
 *   TA2. A frame is copied behind a note (time, length, stream) into reused memory: no object is made for it that a garbage collector
 *        would visit, and the memory in which it came is given back at once.
 *   TA3. Frames that somebody reads do not change: while there are readers, dropped segments are left to the garbage collector.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { giveBackMemory, type TakenFrame } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { TapeBounds } from '../../sdk/manifest/manifest.ts'
import { parseFrame } from '../../sdk/wire/frame.ts'
import type { InputFrame } from '../isolate/index.ts'

export interface TapeFrame extends InputFrame {
  /** When it was processed. */
  readonly atMs: number
}

/** The contents of a tape, in shared memory: which part of each segment holds frames. */
export interface TapeSnapshot {
  readonly segments: readonly { readonly bytes: Uint8Array; readonly from: number; readonly end: number }[]
  readonly streams: readonly string[]
}

interface Segment {
  readonly bytes: Uint8Array<SharedArrayBuffer>
  readonly view: DataView
  /** Where the first frame begins, and where free memory begins. */
  from: number
  end: number
  /** When the last frame was processed. */
  lastMs: number
}

/** The note before each frame: when it was processed, its length, records to skip, the number of its stream. */
const [noteBytes, lengthAt, skipAt, streamAt] = [24, 8, 12, 16]
const segmentShare = 1 / 8
const segmentBytesMax = 2 ** 20

export class Tape {
  readonly #bounds: () => TapeBounds
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #segments: Segment[] = []
  /** Of all segments. */
  #bytes = 0
  /** The memory of a dropped segment, for the next one. */
  #spare: Uint8Array<SharedArrayBuffer> | undefined
  readonly #streams: string[] = []
  #readers = 0
  #lostMs = Number.NEGATIVE_INFINITY

  constructor(clock: Pick<Clock, 'nowMs'>, bounds: () => TapeBounds) {
    this.#clock = clock
    this.#bounds = bounds
  }

  /** Keeps a frame that was processed, and gives its memory back. */
  keep({ stream, bytes, skip }: TakenFrame): void {
    const bounds = this.#bounds()
    const atMs = this.#clock.nowMs()
    const segment = this.#roomFor(noteBytes + bytes.length, bounds.bytes)
    if (segment === undefined) this.#lostMs = atMs
    else {
      this.#write(segment, bytes, skip, this.#numberOf(stream), atMs)
      this.#forgetBefore(atMs - bounds.ms)
    }
    giveBackMemory(bytes)
  }

  /** Keeps all frames but those that are not finished yet. */
  keepAll(frames: readonly TakenFrame[], but: readonly TakenFrame[]): void {
    for (const frame of frames) if (!but.includes(frame)) this.keep(frame)
  }

  /** Memory in use, with the spare. */
  get bytes(): number {
    return this.#bytes + (this.#spare?.length ?? 0)
  }

  /** When the newest of the dropped frames was processed; minus infinity: none was dropped. */
  get lostMs(): number {
    return this.#lostMs
  }

  /** Gives `use` all frames, in the order of processing. */
  read<T>(use: (frames: readonly TapeFrame[]) => Promise<T>): Promise<T> {
    return this.lend((snapshot) => use(framesOn(snapshot)))
  }

  /** Gives `use` the memory itself. */
  async lend<T>(use: (snapshot: TapeSnapshot) => Promise<T>): Promise<T> {
    this.#readers++
    try {
      const segments = this.#segments.map(({ bytes, from, end }) => ({ bytes, from, end }))
      return await use({ segments, streams: [...this.#streams] })
    } finally {
      this.#readers--
    }
  }

  #write(segment: Segment, frame: Uint8Array, skip: number, stream: number, atMs: number): void {
    const { bytes, view, end } = segment
    view.setFloat64(end, atMs)
    view.setUint32(end + lengthAt, frame.length)
    view.setUint32(end + skipAt, skip)
    view.setUint32(end + streamAt, stream)
    bytes.set(frame, end + noteBytes)
    segment.end = behind(end, frame.length)
    segment.lastMs = atMs
  }

  /** @returns Undefined for more than the whole tape may hold. */
  #roomFor(bytes: number, bytesMax: number): Segment | undefined {
    const newest = this.#segments.at(-1)
    if (newest !== undefined && this.#bytes <= bytesMax && newest.end + bytes <= newest.bytes.length)
      return newest
    const size = Math.max(bytes, Math.min(segmentBytesMax, Math.floor(bytesMax * segmentShare)))
    while (this.#segments.length > 0 && this.#bytes + size > bytesMax) this.#drop()
    return size > bytesMax ? undefined : this.#open(size)
  }

  #open(size: number): Segment {
    const bytes = this.#spare?.length === size ? this.#spare : new Uint8Array(new SharedArrayBuffer(size))
    this.#spare = undefined
    const view = new DataView(bytes.buffer)
    const segment: Segment = { bytes, view, from: 0, end: 0, lastMs: 0 }
    this.#segments.push(segment)
    this.#bytes += size
    return segment
  }

  /** Drops the oldest segment. */
  #drop(): void {
    const { bytes, lastMs } = this.#segments.shift()!
    this.#bytes -= bytes.length
    this.#lostMs = lastMs
    this.#spare = this.#readers === 0 ? bytes : undefined
  }

  #forgetBefore(ms: number): void {
    for (let oldest = this.#segments[0]; oldest !== undefined; oldest = this.#segments[0]) {
      const { view, from, end } = oldest
      if (from < end) {
        const atMs = view.getFloat64(from)
        if (atMs >= ms) return
        this.#lostMs = atMs
        oldest.from = behind(from, view.getUint32(from + lengthAt))
      } else this.#drop()
    }
  }

  #numberOf(stream: string): number {
    const known = this.#streams.indexOf(stream)
    return known >= 0 ? known : this.#streams.push(stream) - 1
  }
}

/** All frames, in the order of processing. */
export function framesOn({ segments, streams }: TapeSnapshot): TapeFrame[] {
  const frames: TapeFrame[] = []
  for (const { bytes, from, end } of segments) {
    const view = new DataView(bytes.buffer)
    for (let at = from; at < end; at = behind(at, view.getUint32(at + lengthAt))) {
      const frame = bytes.subarray(at + noteBytes, at + noteBytes + view.getUint32(at + lengthAt))
      const header = parseFrame(frame)
      frames.push({
        ...{ bytes: frame, header, partition: header.partition, atMs: view.getFloat64(at) },
        ...{ stream: streams[view.getUint32(at + streamAt)]!, skip: view.getUint32(at + skipAt) },
      })
    }
  }
  return frames
}

/** Where the next note begins, at a multiple of 8. */
function behind(at: number, frameBytes: number): number {
  return at + ((noteBytes + frameBytes + 7) & ~7)
}
