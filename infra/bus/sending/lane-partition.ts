/**
 * LanePartition: an OutPartition of one consumer, behind the lane's queue. Pure.
 *
 *  L1. A frame gets its sequence when the window has room for it and nothing of the partition waits before it.
 *  L2. What waits counts as sent and in flight; what the queue has dropped as sent and dropped (I7).
 * Design: docs/design/0016-back-pressure.md
 * @module
 */
import { addCounts, sumOfCounts } from '../../control/counts.ts'
import type { OutputLedger } from '../../control/messages/accounts.ts'
import { giveBackMemory, takeMemory } from '../wire/frame-memory.ts'
import type { AddOut } from './allowance.ts'
import type { LaneQueue } from './lane-queue.ts'
import type { OutFrame } from './out-frames.ts'
import { OutPartition } from './out-partition.ts'

export interface LanePartitionOptions {
  readonly stream: string
  readonly partition: number
  readonly consumer: string
  readonly queue: LaneQueue
  /** Called when it can send no more, for lack of room or of frames in memory. */
  readonly onStill: () => void
}

export class LanePartition extends OutPartition {
  readonly #options: LanePartitionOptions

  constructor(options: LanePartitionOptions) {
    super(options.stream, options.partition, giveBackMemory, { consumer: options.consumer })
    this.#options = options
    this.setConsumers([{ name: options.consumer, blocking: true }])
  }

  /** Takes a copy. @param takenMs Earlier, if it was adopted. */
  override add(frame: Uint8Array, count: number, nowMs: number, takenMs = nowMs): void {
    const { queue } = this.#options
    if (!queue.isEmpty(this.partition) || !this.admits(frame.length))
      return queue.add(this.partition, frame, count, nowMs, takenMs)
    const copy = takeMemory(frame.length)
    copy.set(frame)
    super.add(copy, count, takenMs)
  }

  override send(ticket: number): OutFrame | undefined {
    const { queue, onStill } = this.#options
    if (!this.hasUnsent) {
      const head = queue.head(this.partition)
      if (head !== undefined && this.admits(head.length)) {
        queue.shift(this.partition)
        super.add(head.buffer.subarray(0, head.length), head.count, head.takenMs)
      }
    }
    const frame = super.send(ticket)
    if (frame === undefined) onStill()
    return frame
  }

  /** True if the window has room for more. */
  get hasRoom(): boolean {
    return this.admits(1)
  }

  override get waiting(): boolean {
    return super.waiting || !this.#options.queue.isEmpty(this.partition)
  }

  /** Bytes that are to be stored and are not yet. Nobody waits for what a queue may drop. */
  override get heldBytes(): number {
    return this.#options.queue.unstoredBytes(this.partition)
  }

  override get isSent(): boolean {
    return this.heldBytes === 0
  }

  override get mark(): number {
    return this.#options.queue.next
  }

  /** What has left the queue is no longer subject to its policy, but its loss concerns only its consumer. */
  override safeThrough(mark: number): boolean {
    return this.#options.queue.isStoredBefore(this.partition, mark)
  }

  override get bufferedBytes(): number {
    return this.heldBytes
  }

  override get settled(): boolean {
    return super.settled && this.#options.queue.memoryBytes(this.partition) === 0
  }

  override get unsettled(): number {
    return super.unsettled + this.#options.queue.waiting(this.partition).memory
  }

  override eachOut(add: AddOut): void {
    super.eachOut(add)
    add(this.#options.consumer, this.#options.queue.recordsAtRisk(this.partition))
  }

  protected override waitingSinceMs(position: number): number | undefined {
    const sentMs = super.waitingSinceMs(position)
    const queuedMs = this.#options.queue.takenMs(this.partition)
    return sentMs === undefined || queuedMs === undefined ? (sentMs ?? queuedMs) : Math.min(sentMs, queuedMs)
  }

  override closing(): OutputLedger[] {
    const dropped = this.#options.queue.dropped(this.partition)
    const records = sumOfCounts(dropped)
    return super.closing().map((row) => ({
      ...row,
      sent: row.sent + records,
      acked: row.acked + records,
      dropped: addCounts(row.dropped, dropped),
    }))
  }

  override ledger(): OutputLedger[] {
    const { queue } = this.#options
    const { memory, disk } = queue.waiting(this.partition)
    const dropped = queue.dropped(this.partition)
    const records = sumOfCounts(dropped)
    return super.ledger().map((row) => ({
      ...row,
      sent: row.sent + memory + disk + records,
      acked: row.acked + records,
      dropped: addCounts(row.dropped, dropped),
      ...(records > 0 && { own: { ...dropped } }),
      ...(disk === 0 ? {} : { spilled: disk, spilledBytes: queue.diskBytes(this.partition) }),
    }))
  }
}
