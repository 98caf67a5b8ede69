/**
 * Lane: the partitions of a stream for one consumer that queues, and the transfer between their queue and the disk.
 *
 *  L3. A chunk is deleted from disk before its frames are sent: a killed producer may lose it, and never sends it twice.
 *  L4. At most `storesMax` chunks are being stored, and one per partition is being read back.
 * Design: docs/design/0016-back-pressure.md
 * @module
 */
import { type Id64, parseFrame, stampHeader } from '../../../sdk/wire/frame.ts'
import type { Clock } from '../../clock.ts'
import { giveBackMemory } from '../wire/frame-memory.ts'
import { LanePartition } from './lane-partition.ts'
import { type Chunk, LaneQueue, type QueuePolicy, storeAfterMs } from './lane-queue.ts'
import type { OutPartition } from './out-partition.ts'

/** The store of chunks. Calls wait as long as necessary, unless the process ends. */
export interface Spill {
  /**
   * Stores a chunk once.
   * @param ageMs How old its oldest record is now, for whoever adopts it.
   * @returns Its number in this store; undefined if the store is full.
   */
  put(place: SpillPlace, chunk: Uint8Array, ageMs: () => number): Promise<number | undefined>
  /** Reads a chunk and deletes it. @returns Undefined if it does not exist. */
  take(number: number): Promise<Uint8Array | undefined>
}

export interface SpillPlace {
  readonly function: string
  readonly stream: string
  readonly partition: number
  /** Its id: chunks of one that is gone are adopted. */
  readonly producer: string
  /** When the function was created: they are not for a later one of that name. */
  readonly createdAtMs?: number | undefined
}

export interface LaneOptions {
  readonly stream: string
  readonly partitions: number
  readonly consumer: string
  /** When the consumer's function was created, if that is known. */
  readonly createdAtMs?: number | undefined
  readonly policy: QueuePolicy
  readonly spill: Spill | undefined
  readonly clock: Clock
  readonly stamp: {
    readonly id: string
    readonly producer: Id64
    readonly origin: Id64
    readonly epoch: number
  }
  /** Called when a partition may have something to send, or no longer waits. */
  readonly onMoved: (out: OutPartition) => void
  /** Called when this many records of the stream are about to leave the disk. */
  readonly onReading: (stream: string, records: number) => void
}

const storesMax = 8
const lookEveryMs = storeAfterMs

export class Lane {
  readonly consumer: string
  readonly createdAtMs: number | undefined
  readonly queue: LaneQueue
  readonly partitions: (LanePartition | undefined)[]
  readonly #options: LaneOptions
  #storing = 0
  #cancelLook: (() => void) | undefined
  #closed = false

  constructor(options: LaneOptions) {
    this.#options = options
    this.consumer = options.consumer
    this.createdAtMs = options.createdAtMs
    this.queue = new LaneQueue(options.partitions, options.policy, giveBackMemory)
    this.partitions = new Array<LanePartition | undefined>(options.partitions).fill(undefined)
  }

  partition(index: number): LanePartition {
    const { stream, consumer } = this.#options
    this.partitions[index] ??= new LanePartition({
      ...{ stream, partition: index, consumer, queue: this.queue },
      onStill: () => this.#look(index),
    })
    return this.partitions[index]
  }

  /**
   * Takes a chunk that another producer has left on disk for this consumer.
   * @param storedMs How long it was there.
   * @param ageMs How old its oldest record is.
   */
  adopt(partition: number, chunk: Uint8Array, storedMs: number, ageMs: number): void {
    const out = this.partition(partition)
    const nowMs = this.#options.clock.monotonicMs()
    for (const { bytes, count } of framesOf(chunk)) {
      if (storedMs > this.queue.policy.ageMaxMs) this.queue.refuse(partition, count, 'expired')
      else out.add(bytes, count, nowMs, nowMs - ageMs)
    }
    this.#options.onMoved(out)
  }

  /** Bytes in memory that wait for the disk. */
  get unstoredBytes(): number {
    return this.partitions.reduce((sum, out) => sum + (out?.heldBytes ?? 0), 0)
  }

  /** Gives up what waits in memory; what is on disk waits for adoption. */
  close(reason: string): void {
    this.#closed = true
    this.#cancelLook?.()
    this.queue.giveUp(reason)
  }

  /** Moves due frames between memory and disk. */
  #look(partition: number): void {
    const { spill } = this.#options
    if (this.#closed || spill === undefined) return
    this.#store(spill)
    this.#readBack(spill, partition)
    if (this.queue.hasClock) this.#lookLater()
  }

  #lookLater(): void {
    this.#cancelLook ??= this.#options.clock.after(lookEveryMs, () => {
      this.#cancelLook = undefined
      const { spill, clock } = this.#options
      if (this.#closed || spill === undefined) return
      for (const chunk of this.queue.overdue(clock.monotonicMs())) void this.#expire(spill, chunk)
      for (const partition of this.partitions.keys()) this.#look(partition)
    })
  }

  #store(spill: Spill): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (!this.queue.isStoreDue(nowMs)) return
    for (const partition of this.partitions.keys()) {
      while (this.#storing < storesMax) {
        const chunk = this.queue.cut(partition, nowMs)
        if (chunk === undefined) break
        void this.#put(spill, chunk)
      }
    }
  }

  async #put(spill: Spill, chunk: Chunk): Promise<void> {
    const { stream, consumer, createdAtMs, stamp, clock } = this.#options
    const { partition } = chunk
    const ageMs = (): number => clock.monotonicMs() - chunk.takenMs
    const place = { function: consumer, stream, partition, producer: stamp.id, createdAtMs }
    this.#storing += 1
    const number = await spill.put(place, this.#bytesOf(chunk), ageMs)
    this.#storing -= 1
    if (this.#closed) return // given up already; it is adopted, if it was stored
    this.queue.stored(chunk, number)
    this.#look(chunk.partition)
    this.#options.onMoved(this.partition(chunk.partition))
  }

  #readBack(spill: Spill, partition: number): void {
    const chunk = this.queue.wanted(partition)
    if (chunk === undefined || !this.partition(partition).hasRoom) return
    chunk.busy = true
    this.#options.onReading(this.#options.stream, chunk.records)
    void this.#take(spill, chunk)
  }

  async #take(spill: Spill, chunk: Chunk): Promise<void> {
    const bytes = await spill.take(chunk.number!)
    if (this.#closed) return
    if (bytes === undefined) this.queue.lose(chunk, 'spillLost')
    else this.queue.readBack(chunk, framesOf(bytes))
    this.#options.onMoved(this.partition(chunk.partition))
  }

  async #expire(spill: Spill, chunk: Chunk): Promise<void> {
    chunk.busy = true
    await spill.take(chunk.number!)
    if (this.#closed) return
    this.queue.lose(chunk, 'expired')
    this.#options.onMoved(this.partition(chunk.partition))
  }

  #bytesOf({ partition, frames = [], bytes }: Chunk): Uint8Array {
    const { producer, origin, epoch } = this.#options.stamp
    const chunk = new Uint8Array(bytes)
    let at = 0
    for (const { buffer, length, count } of frames) {
      const frame = buffer.subarray(0, length)
      stampHeader(frame, { flags: 0, partition, producer, origin, epoch, count, sequence: 0 })
      chunk.set(frame, at)
      at += length
    }
    return chunk
  }
}

/** The frames of a chunk, as views of it. @throws {CodedError} ERR_FRAME_MALFORMED, ERR_FRAME_VERSION */
export function framesOf(chunk: Uint8Array): { readonly bytes: Uint8Array; readonly count: number }[] {
  const frames: { bytes: Uint8Array; count: number }[] = []
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  for (let at = 0; at < chunk.length; ) {
    const isWhole = chunk.length - at >= 44
    const length = isWhole ? view.getUint16(at + 4, true) + view.getUint32(at + 40, true) : 0
    const bytes = chunk.subarray(at, at + length)
    frames.push({ bytes, count: parseFrame(bytes).count })
    at += length
  }
  return frames
}
