/**
 * BatchSize: how many bytes of input go into one call of the isolate: as many as it has lately processed in about
 * `callMs`. A batch is lost if the process is killed, and its outputs wait for its end.
 *
 *   BS1. The size is between `bytesMin` and `bytesMax`; it starts at the least, since new code is slow.
 * Design: docs/design/0002-channels.md, "What a killed owner takes along"
 * @module
 */

/** With 5 ms, and 32 KiB at the start, throughput was 7 % lower, and a fifth lower while code is cold. */
const callMs = 10
export const batchBytesMin = 128 * 1024
export const batchBytesMax = 768 * 1024
/** On trial: a version that has just taken over is slow, and its outputs are awaited. */
export const trialBatchBytesMax = 64 * 1024
/** The weight of the last call in the average. */
const share = 0.5

export class BatchSize {
  #bytesPerMs = 0

  get bytes(): number {
    return Math.round(Math.min(batchBytesMax, Math.max(batchBytesMin, this.#bytesPerMs * callMs)))
  }

  /** Notes how long a call took for these bytes of finished records. */
  answered(bytes: number, ms: number): void {
    if (bytes <= 0 || ms <= 0) return
    const now = bytes / ms
    this.#bytesPerMs += (now - this.#bytesPerMs) * (this.#bytesPerMs === 0 ? 1 : share)
  }
}

/** Bytes of the frames in a batch, or left of it. */
export function bytesIn(frames: readonly { readonly bytes: Uint8Array }[]): number {
  return frames.reduce((sum, { bytes }) => sum + bytes.length, 0)
}
