/**
 * FrameLog: the last frames of one stream, kept once for all who read it; a reader is a place in it.
 *
 * Records are counted from 0 for each producer in each partition (a *lane*), whether they came or were missed.
 *   L1. An entry is kept until each reader that was there when it came has passed it, or until it is dropped.
 *   L2. A reader is told of every record that came or was missed after it joined, lane by lane in order: with its frame,
 *       or in a gap.
 * @module
 */
import type { FollowEvent } from '../../sdk/api/index.ts'
import type { FrameHeader } from '../../sdk/wire/frame.ts'
import { Wake } from './wake.ts'

/** What an entry costs beside its bytes, about. */
const entryBytes = 300

export type Gap = Extract<FollowEvent, { event: 'gap' }>
export interface Frame {
  readonly bytes: Uint8Array
  readonly header: FrameHeader
}

/** Records [from, to) of a lane; without a frame they were missed. */
interface Entry {
  readonly partition: number
  readonly producer: string
  readonly from: number
  readonly to: number
  readonly frame: Frame | undefined
  /** Readers that have not passed it. */
  unread: number
}

/** A place in the log, and what its holder was told of each lane so far. */
export interface LogReader {
  readonly wake: Wake
  readonly told: Map<string, number>
  position: number
}

export class FrameLog {
  /** The oldest first; `#first` is its position. */
  readonly #entries: Entry[] = []
  #first = 0
  #bytes = 0
  /** For each lane, how many records have come or were missed. */
  readonly #ends = new Map<string, number>()
  /** For each lane, the last entry that was dropped, without its frame. */
  readonly #dropped = new Map<string, Entry>()
  readonly #readers = new Set<LogReader>()

  /** What it keeps, about. */
  get bytes(): number {
    return this.#bytes
  }

  get entries(): number {
    return this.#entries.length
  }

  get readers(): number {
    return this.#readers.size
  }

  addFrame(frame: Frame): void {
    const { partition, producer, count } = frame.header
    this.#add(partition, producer, count, frame)
  }

  /** Records that went by unseen. */
  addGap(partition: number, producer: string, records: number): void {
    this.#add(partition, producer, records, undefined)
  }

  /** Forgets the oldest entry; who has not passed it will be told. */
  dropOldest(): void {
    const entry = this.#shift()
    if (entry !== undefined) this.#dropped.set(laneOf(entry), { ...entry, frame: undefined })
  }

  /** A reader of all that comes from now on. */
  join(): LogReader {
    const reader = { wake: new Wake(), told: new Map(this.#ends), position: this.#end }
    this.#readers.add(reader)
    return reader
  }

  leave(reader: LogReader): void {
    this.#readers.delete(reader)
    for (let at = Math.max(reader.position, this.#first); at < this.#end; at++) this.#pass(at)
  }

  /** What the reader is to be told next; undefined: nothing for now. */
  take(reader: LogReader): Frame | readonly Gap[] | undefined {
    const gaps = this.#catchUp(reader)
    if (gaps.length > 0) return gaps
    if (reader.position === this.#end) return undefined
    const entry = this.#pass(reader.position)
    reader.position += 1
    reader.told.set(laneOf(entry), entry.to)
    return entry.frame ?? [gapOf(entry, entry.from)]
  }

  /** Brings a reader that was too slow to the oldest entry that is left. */
  #catchUp(reader: LogReader): Gap[] {
    if (reader.position >= this.#first) return []
    reader.position = this.#first
    const gaps: Gap[] = []
    for (const [lane, last] of this.#dropped) {
      const told = reader.told.get(lane) ?? 0
      if (told >= last.to) continue
      gaps.push(gapOf(last, told))
      reader.told.set(lane, last.to)
    }
    return gaps
  }

  get #end(): number {
    return this.#first + this.#entries.length
  }

  #add(partition: number, producer: string, records: number, frame: Frame | undefined): void {
    const lane = laneOf({ partition, producer })
    const from = this.#ends.get(lane) ?? 0
    const entry = { partition, producer, from, to: from + records, frame, unread: this.#readers.size }
    this.#ends.set(lane, entry.to)
    this.#entries.push(entry)
    this.#bytes += bytesOf(entry)
    for (const { wake } of this.#readers) wake.call()
  }

  /** One reader has passed the entry at `position`, or will not come by. */
  #pass(position: number): Entry {
    const entry = this.#entries[position - this.#first]!
    entry.unread -= 1
    while (this.#entries[0]?.unread === 0) this.#shift()
    return entry
  }

  #shift(): Entry | undefined {
    const entry = this.#entries.shift()
    if (entry === undefined) return undefined
    this.#first += 1
    this.#bytes -= bytesOf(entry)
    return entry
  }
}

function laneOf({ partition, producer }: Pick<Entry, 'partition' | 'producer'>): string {
  return `${partition} ${producer}`
}

function gapOf({ partition, producer, to }: Entry, from: number): Gap {
  return { event: 'gap', partition, producer, records: to - from }
}

function bytesOf({ frame }: Entry): number {
  return entryBytes + (frame?.bytes.length ?? 0)
}
