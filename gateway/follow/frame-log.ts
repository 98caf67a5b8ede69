/**
 * FrameLog: the last frames of one stream, kept once for all its readers; a reader is a position in it.
 *
 * Records are counted from 0 for each producer in each partition (a *lane*), whether they arrived or were missed.
 *   L1. An entry is kept until every reader that was there when it came has passed it, or until it is dropped.
 *   L2. A reader learns of every record that arrived or was missed after it joined, in order within each lane: as
 *       part of a frame, or counted in a gap.
 * @module
 */
import type { FollowEvent } from '../../sdk/api/index.ts'
import type { FrameHeader } from '../../sdk/wire/frame.ts'
import { Wake } from './wake.ts'

/** Approximate memory of an entry besides its bytes. */
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

/** A position in the log, and up to which record of each lane the reader has been told. */
export interface LogReader {
  readonly wake: Wake
  readonly told: Map<string, number>
  position: number
}

export class FrameLog {
  /** Oldest first; `#first` is the position of the first. */
  readonly #entries: Entry[] = []
  #first = 0
  #bytes = 0
  /** By lane: how many records have arrived or were missed. */
  readonly #ends = new Map<string, number>()
  /** By lane: the last dropped entry, without its frame. */
  readonly #dropped = new Map<string, Entry>()
  readonly #readers = new Set<LogReader>()

  /** Approximate bytes kept. */
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

  /** Adds records that were missed. */
  addGap(partition: number, producer: string, records: number): void {
    this.#add(partition, producer, records, undefined)
  }

  /** Drops the oldest entry. Readers that have not passed it will get a gap. */
  dropOldest(): void {
    const entry = this.#shift()
    if (entry !== undefined) this.#dropped.set(laneOf(entry), { ...entry, frame: undefined })
  }

  /** Adds a reader that starts at the end. */
  join(): LogReader {
    const reader = { wake: new Wake(), told: new Map(this.#ends), position: this.#end }
    this.#readers.add(reader)
    return reader
  }

  leave(reader: LogReader): void {
    this.#readers.delete(reader)
    for (let at = Math.max(reader.position, this.#first); at < this.#end; at++) this.#pass(at)
  }

  /** What to send to the reader next; undefined: nothing for now. */
  take(reader: LogReader): Frame | readonly Gap[] | undefined {
    const gaps = this.#catchUp(reader)
    if (gaps.length > 0) return gaps
    if (reader.position === this.#end) return undefined
    const entry = this.#pass(reader.position)
    reader.position += 1
    reader.told.set(laneOf(entry), entry.to)
    return entry.frame ?? [gapOf(entry, entry.from)]
  }

  /** Moves a reader that was too slow to the oldest entry that is left. */
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

  /** Counts down the readers of the entry at `position`: one has passed it, or has left. */
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
