/**
 * TakenFrames: the frames that an instance has taken from its queue and not finished, oldest first.
 *
 *   TF1. Taken frames come before queued ones, so that records keep their order across batches (I2).
 * @module
 */
import type { Consumer, TakenFrame } from '../../infra/bus/index.ts'
import type { PartitionsByStream } from '../checkpoint/partitions.ts'

export class TakenFrames {
  readonly #consumer: Consumer
  #frames: readonly TakenFrame[] = []

  constructor(consumer: Consumer) {
    this.#consumer = consumer
  }

  /** Whether a batch can be made, of taken frames or of queued ones. */
  get hasInput(): boolean {
    return this.#frames.length > 0 || this.#consumer.queuedFrames > 0
  }

  get frames(): readonly TakenFrame[] {
    return this.#frames
  }

  /** The next batch. @param onTrial It is for a version on trial: at most `bytesMax`, however much is ready. */
  take(bytesMax: number, onTrial: boolean): readonly TakenFrame[] {
    const moved = onTrial ? [] : this.#consumer.takeMoved()
    // records of a partition just taken over do not wait behind the backlog of the others
    if (moved.length > 0) return moved
    const frames = this.#frames.length > 0 ? this.#frames : this.#consumer.take(bytesMax)
    const now = onTrial ? countWithin(frames, bytesMax) : frames.length
    this.#frames = frames.slice(now)
    return frames.slice(0, now)
  }

  /** Puts the unfinished frames of a batch back, before the others. */
  putBack(frames: readonly TakenFrame[]): void {
    if (frames.length > 0) this.#frames = [...frames, ...this.#frames]
  }

  /** Drops frames whose records are all done. */
  dropDone(): void {
    this.#frames = this.#frames.filter((frame) => frame.skip + frame.finished < frame.header.count)
  }

  /** Drops the frames of partitions that are handed over; the new owner gets them. */
  drop(partitions: PartitionsByStream): void {
    this.#frames = this.#frames.filter((f) => partitions.get(f.stream)?.includes(f.partition) !== true)
  }
}

/** Marks the first `records` of a batch as finished. @returns The unfinished frames, to be processed before anything newer. */
export function finish<Frame extends TakenFrame>(
  batch: readonly Frame[],
  records: number,
  done: (frame: Frame, records: number) => void,
): Frame[] {
  let left = records
  const rest: Frame[] = []
  for (const frame of batch) {
    const open = frame.header.count - frame.skip - frame.finished
    const now = Math.min(left, open)
    left -= now
    if (now > 0) done(frame, now)
    if (now < open) rest.push(frame)
  }
  return rest
}

/** How many frames from the first one on fit `bytesMax` bytes; at least one, if there is any. */
function countWithin(frames: readonly TakenFrame[], bytesMax: number): number {
  let bytes = 0
  const beyond = frames.findIndex((frame, index) => {
    bytes += frame.bytes.length
    return bytes > bytesMax && index > 0
  })
  return beyond < 0 ? frames.length : beyond
}
