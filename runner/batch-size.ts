/**
 * BatchSize: how many bytes of frames go into one batch: as many as take some milliseconds.
 *
 * Outputs leave when their batch ends, and so does whoever waits to get between two batches. An isolate that is still cold takes
 * ten times as long for a record: the first batch of a share that came, with all that its senders had kept meanwhile, held its outputs
 * back for 50 ms.
 *   BS1. It grows only by what was seen: a batch of about that size was quick.
 *   BS2. It stays between `bytesMin` and `bytesMax`. (A frame is never parted: it may be larger.)
 * @module
 */
import type { TakenFrame } from '../infra/bus/index.ts'

type Frame = Pick<TakenFrame, 'bytes'>

const bytesMin = 32 * 1024
const bytesMax = 768 * 1024
/** Most on trial: what has just taken over is slow at first, and its outputs are waited for. */
const trialBytesMax = 64 * 1024
/** A batch quicker than this may be twice as large. */
const quickMs = 8
/** One slower than this is to be half as large; well above, since a large batch of quick records costs its CPU least. */
const slowMs = 25

export class BatchSize {
  bytes = bytesMin

  /** Of the next batch. */
  of(onTrial: boolean): number {
    return onTrial ? Math.min(this.bytes, trialBytesMax) : this.bytes
  }

  /** A batch has been in the isolate for so long, and left a rest. */
  took(batch: readonly Frame[], rest: readonly Frame[], ms: number): void {
    const bytes = bytesOf(batch) - bytesOf(rest)
    if (ms > slowMs) this.bytes = Math.max(bytesMin, this.bytes / 2)
    else if (ms < quickMs && bytes > this.bytes / 2) this.bytes = Math.min(bytesMax, this.bytes * 2)
  }
}

function bytesOf(frames: readonly Frame[]): number {
  return frames.reduce((sum, { bytes }) => sum + bytes.length, 0)
}
