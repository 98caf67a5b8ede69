/**
 * LaneQueue: the frames of all partitions that wait in front of a lane for room in its window, and the policy beyond the
 * budget. Pure: it decides, its Lane stores and reads back. Design: docs/design/0016-back-pressure.md
 *
 *     read back: front │ chunks: stored, or being stored │ tail          (of one partition, front to back)
 *
 * Invariants:
 *  Q1. Frames leave a partition in the order in which they came (I2), each once.
 *  Q2. taken = left + waiting + dropped, in records and at any time (I7); what is on disk counts as waiting.
 *  Q3. A queue that drops holds at most its budget; one that stores, on disk and in memory together.
 * @module
 */

import type { QueueMode } from '../../../sdk/manifest/back-pressure.ts'
import { frameBytesAimed, headerBytesV1 } from '../../../sdk/wire/frame.ts'
import { oneMore } from '../../control/counts.ts'
import { takeMemory } from '../wire/frame-memory.ts'

export interface QueuePolicy {
  readonly mode: QueueMode
  /** The budget for what waits: in memory, or with `enqueue` on disk. */
  readonly bytesMax: number
  /** How long something may wait on disk. */
  readonly ageMaxMs: number
}

/** A frame that has no sequence yet; its first `length` bytes count, and begin with space for the header. */
export interface WaitingFrame {
  buffer: Uint8Array
  length: number
  count: number
  /** When its oldest record was taken; of one that was on disk, the oldest of its chunk. */
  takenMs: number
  /** Grows with each frame of the queue. */
  readonly order: number
}

/** Frames that are stored together. */
export interface Chunk {
  readonly partition: number
  readonly records: number
  readonly bytes: number
  readonly sinceMs: number
  /** When the oldest of its records was taken. */
  readonly takenMs: number
  /** In memory until they are stored. */
  frames: readonly WaitingFrame[] | undefined
  /** Its number in the store, once stored. */
  number: number | undefined
  /** True while it is being read back or deleted. */
  busy: boolean
}

const chunkBytesMax = 512 * 1024
/** Tails of this size are stored; smaller ones after a while. */
const storeBytes = 128 * 1024
export const storeAfterMs = 200

interface Part {
  front: WaitingFrame[]
  chunks: Chunk[]
  tail: WaitingFrame[]
  dropped: Readonly<Record<string, number>>
}

export class LaneQueue {
  readonly #parts: Part[]
  readonly #forget: (bytes: Uint8Array) => void
  policy: QueuePolicy
  #order = 0
  #tailBytes = 0
  #chunkBytes = 0
  #tailSinceMs: number | undefined

  /** @param forget Called with memory that no frame uses any more. */
  constructor(partitions: number, policy: QueuePolicy, forget: (bytes: Uint8Array) => void) {
    this.#parts = Array.from({ length: partitions }, () => ({ front: [], chunks: [], tail: [], dropped: {} }))
    this.policy = policy
    this.#forget = forget
  }

  isEmpty(partition: number): boolean {
    const { front, chunks, tail } = this.#part(partition)
    return front.length === 0 && chunks.length === 0 && tail.length === 0
  }

  /** Takes a copy of a frame, or drops by the policy. Small frames are joined. @param takenMs Earlier, if it was adopted. */
  add(partition: number, frame: Uint8Array, count: number, nowMs: number, takenMs = nowMs): void {
    const { mode, bytesMax } = this.policy
    const full = this.#tailBytes + this.#chunkBytes + frame.length > bytesMax
    if (full && mode !== 'dropHead')
      return this.#drop(partition, count, mode === 'dropTail' ? 'dropTail' : 'queueFull')
    this.#append(this.#part(partition).tail, frame, count, takenMs)
    this.#tailSinceMs ??= nowMs
    if (mode !== 'dropHead') return
    while (this.#tailBytes > bytesMax) this.#dropOldest()
  }

  /** Counts records that are refused. */
  refuse(partition: number, count: number, reason: string): void {
    this.#drop(partition, count, reason)
  }

  /** The next frame of a partition, if it is in memory. */
  head(partition: number): WaitingFrame | undefined {
    const { front, chunks, tail } = this.#part(partition)
    return front[0] ?? (chunks.length === 0 ? tail[0] : undefined)
  }

  /** Takes that frame out; its memory is the caller's. */
  shift(partition: number): WaitingFrame {
    const { front, tail } = this.#part(partition)
    const fromFront = front.shift()
    if (fromFront !== undefined) return fromFront
    const frame = tail.shift()!
    this.#tailBytes -= frame.length
    if (this.#tailBytes === 0) this.#tailSinceMs = undefined
    return frame
  }

  /** True if tails should be stored now. */
  isStoreDue(nowMs: number): boolean {
    if (this.policy.mode !== 'enqueue' || this.#tailSinceMs === undefined) return false
    return this.#tailBytes >= storeBytes || nowMs - this.#tailSinceMs >= storeAfterMs
  }

  /** Makes a chunk to be stored from the front of a partition's tail. */
  cut(partition: number, nowMs: number): Chunk | undefined {
    const { chunks, tail } = this.#part(partition)
    if (tail.length === 0) return undefined
    let bytes = 0
    let frames = 0
    while (frames < tail.length && (frames === 0 || bytes + tail[frames]!.length <= chunkBytesMax))
      bytes += tail[frames++]!.length
    const cut = tail.splice(0, frames)
    const records = cut.reduce((sum, { count }) => sum + count, 0)
    const chunk: Chunk = {
      ...{ partition, records, bytes, sinceMs: nowMs, takenMs: oldestMs(cut)! },
      ...{ frames: cut, number: undefined, busy: false },
    }
    chunks.push(chunk)
    this.#tailBytes -= bytes
    this.#chunkBytes += bytes
    if (this.#tailBytes === 0) this.#tailSinceMs = undefined
    return chunk
  }

  /** @param number Undefined: the store is full, and the chunk is gone. */
  stored(chunk: Chunk, number: number | undefined): void {
    for (const { buffer } of chunk.frames ?? []) this.#forget(buffer)
    chunk.frames = undefined
    chunk.number = number
    if (number === undefined) this.lose(chunk, 'storeFull')
  }

  /** The chunk to read back next, if nothing of its partition is in memory before it and it is not busy. */
  wanted(partition: number): Chunk | undefined {
    const { front, chunks } = this.#part(partition)
    const [first] = chunks
    return front.length === 0 && first?.number !== undefined && !first.busy ? first : undefined
  }

  /** The frames of the first chunk of a partition, which is no longer on disk. */
  readBack(chunk: Chunk, frames: readonly { readonly bytes: Uint8Array; readonly count: number }[]): void {
    this.#remove(chunk)
    this.#part(chunk.partition).front = frames.map(({ bytes, count }) => ({
      ...{ buffer: bytes, length: bytes.length, count, takenMs: chunk.takenMs, order: this.#order++ },
    }))
  }

  /** First chunks that have waited too long. */
  overdue(nowMs: number): Chunk[] {
    return this.#parts.flatMap(({ chunks: [first] }) =>
      first?.number !== undefined && !first.busy && nowMs - first.sinceMs > this.policy.ageMaxMs
        ? [first]
        : [],
    )
  }

  /** Notes that a chunk is lost. */
  lose(chunk: Chunk, reason: string): void {
    this.#remove(chunk)
    this.#drop(chunk.partition, chunk.records, reason)
  }

  /** Gives up what is in memory or being read back. What is on disk may be sent by whoever adopts it. */
  giveUp(reason: string): void {
    for (const [partition, part] of this.#parts.entries()) {
      const waiting = [...part.front, ...part.tail]
      this.#drop(
        partition,
        waiting.reduce((sum, { count }) => sum + count, 0),
        reason,
      )
      part.front = []
      part.tail = []
      for (const chunk of part.chunks.filter(({ number, busy }) => number === undefined || busy))
        this.lose(chunk, reason)
    }
    this.#tailBytes = 0
    this.#tailSinceMs = undefined
  }

  /** Bytes of a partition that are not safely on disk: in memory, being stored, or being read back. */
  memoryBytes(partition: number): number {
    const { front, chunks } = this.#part(partition)
    const reading = chunks.reduce((sum, { busy, bytes }) => sum + (busy ? bytes : 0), 0)
    return bytesOf(front) + reading + this.#unstored(partition)
  }

  /** Records that would be lost with this process, though their producer no longer waits for them. */
  recordsAtRisk(partition: number): number {
    const { front, chunks, tail } = this.#part(partition)
    const waits = this.policy.mode === 'enqueue' ? front : [...front, ...tail]
    const reading = chunks.reduce((sum, { busy, records }) => sum + (busy ? records : 0), 0)
    return waits.reduce((sum, { count }) => sum + count, reading)
  }

  /** The number of the next frame, or a lower bound of it. */
  get next(): number {
    return this.#order
  }

  /** True when nothing before the frame of this number still has to be stored. */
  isStoredBefore(partition: number, order: number): boolean {
    if (this.policy.mode !== 'enqueue') return true
    const { chunks, tail } = this.#part(partition)
    const unstored = chunks.find(({ frames }) => frames !== undefined)?.frames ?? tail
    return unstored.length === 0 || unstored[0]!.order >= order
  }

  /** Bytes that have to be stored and are not yet. */
  unstoredBytes(partition: number): number {
    return this.policy.mode === 'enqueue' ? this.#unstored(partition) : 0
  }

  #unstored(partition: number): number {
    const { chunks, tail } = this.#part(partition)
    return bytesOf(tail) + chunks.reduce((sum, c) => sum + (c.frames === undefined ? 0 : c.bytes), 0)
  }

  /** Records that wait in memory and on disk. */
  waiting(partition: number): { readonly memory: number; readonly disk: number } {
    const { front, chunks, tail } = this.#part(partition)
    let memory = [...front, ...tail].reduce((sum, { count }) => sum + count, 0)
    let disk = 0
    for (const { records, number } of chunks) {
      if (number === undefined) memory += records
      else disk += records
    }
    return { memory, disk }
  }

  /** When the oldest record that waits was taken; undefined if none does. What was adopted is behind younger ones. */
  takenMs(partition: number): number | undefined {
    const { front, chunks, tail } = this.#part(partition)
    return oldestMs(front, chunks, tail)
  }

  diskBytes(partition: number): number {
    return this.#part(partition).chunks.reduce((sum, c) => sum + (c.number === undefined ? 0 : c.bytes), 0)
  }

  dropped(partition: number): Readonly<Record<string, number>> {
    return this.#part(partition).dropped
  }

  /** True while something may fall due by time alone. */
  get hasClock(): boolean {
    return this.#chunkBytes > 0 || (this.policy.mode === 'enqueue' && this.#tailBytes > 0)
  }

  #part(partition: number): Part {
    return this.#parts[partition]!
  }

  #drop(partition: number, records: number, reason: string): void {
    const part = this.#part(partition)
    if (records > 0) part.dropped = oneMore(part.dropped, reason, records)
  }

  #dropOldest(): void {
    let oldest = 0
    let order = Number.POSITIVE_INFINITY
    for (const [partition, { tail }] of this.#parts.entries()) {
      if (tail.length === 0 || tail[0]!.order >= order) continue
      oldest = partition
      order = tail[0]!.order
    }
    const frame = this.#part(oldest).tail.shift()!
    this.#tailBytes -= frame.length
    this.#drop(oldest, frame.count, 'dropHead')
    this.#forget(frame.buffer)
  }

  #remove(chunk: Chunk): void {
    const { chunks } = this.#part(chunk.partition)
    chunks.splice(chunks.indexOf(chunk), 1)
    this.#chunkBytes -= chunk.bytes
  }

  #append(tail: WaitingFrame[], frame: Uint8Array, count: number, takenMs: number): void {
    const body = frame.length - headerBytesV1
    const last = tail.at(-1)
    if (last === undefined || last.length + body > frameBytesAimed) {
      const buffer = takeMemory(frame.length)
      buffer.set(frame)
      tail.push({ buffer, length: frame.length, count, takenMs, order: this.#order++ })
      this.#tailBytes += frame.length
      return
    }
    if (last.length + body > last.buffer.length) this.#grow(last, last.length + body)
    last.buffer.set(frame.subarray(headerBytesV1), last.length)
    last.length += body
    last.count += count
    last.takenMs = Math.min(last.takenMs, takenMs)
    this.#tailBytes += body
  }

  #grow(frame: WaitingFrame, bytes: number): void {
    const grown = takeMemory(Math.min(frameBytesAimed, Math.max(bytes, frame.buffer.length * 2)))
    grown.set(frame.buffer.subarray(0, frame.length))
    this.#forget(frame.buffer)
    frame.buffer = grown
  }
}

function oldestMs(...lists: (readonly { readonly takenMs: number }[])[]): number | undefined {
  let oldest: number | undefined
  for (const list of lists) for (const { takenMs } of list) oldest = Math.min(oldest ?? takenMs, takenMs)
  return oldest
}

function bytesOf(frames: readonly WaitingFrame[]): number {
  return frames.reduce((sum, { length }) => sum + length, 0)
}
