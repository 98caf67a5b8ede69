/**
 * Hand: the frames that an instance has taken out of its queue and is not done with, the oldest first.
 *
 *   HD1. What is in hand goes ahead of what is queued, so that records keep their order over batches (I2).
 * @module
 */
import type { Consumer, TakenFrame } from '../../infra/bus/index.ts'
import type { PartitionsByStream } from '../checkpoint/partitions.ts'
import { countWithin } from '../failures/alone.ts'

export class Hand {
  readonly #consumer: Consumer
  #frames: readonly TakenFrame[] = []

  constructor(consumer: Consumer) {
    this.#consumer = consumer
  }

  /** Whether there is anything to take, in hand or in the queue. */
  get hasInput(): boolean {
    return this.#frames.length > 0 || this.#consumer.queuedFrames > 0
  }

  get frames(): readonly TakenFrame[] {
    return this.#frames
  }

  /** The next batch. @param onTrial It is for a version on trial: no larger than `bytesMax`, whatever lies ready. */
  take(bytesMax: number, onTrial: boolean): readonly TakenFrame[] {
    const moved = onTrial ? [] : this.#consumer.takeMoved()
    if (moved.length > 0) return moved // not behind what others have piled up meanwhile
    const frames = this.#frames.length > 0 ? this.#frames : this.#consumer.take(bytesMax)
    const now = onTrial ? countWithin(frames, bytesMax) : frames.length
    this.#frames = frames.slice(now)
    return frames.slice(0, now)
  }

  /** What a batch has left goes ahead of the rest. */
  putBack(frames: readonly TakenFrame[]): void {
    if (frames.length > 0) this.#frames = [...frames, ...this.#frames]
  }

  /** Frames whose records are all done by now. */
  dropDone(): void {
    this.#frames = this.#frames.filter((frame) => frame.skip + frame.finished < frame.header.count)
  }

  /** Partitions that go to another owner, who gets their records. */
  drop(partitions: PartitionsByStream): void {
    this.#frames = this.#frames.filter((f) => partitions.get(f.stream)?.includes(f.partition) !== true)
  }
}
