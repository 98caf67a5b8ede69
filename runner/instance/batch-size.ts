/**
 * BatchSize: how many bytes of input go into one call of the isolate: as many as it has processed in about `callMs` lately. What is in a batch is
 * gone if the process is killed; and a batch's outputs wait for its end.
 *
 *   BS1. Between `bytesMin` and `bytesMax`; at the start the least, since code that has just begun is slow.
 * Design: docs/design/0002-channels.md, "What a killed owner takes along"
 * @module
 */

/** With 5 ms, and 32 KiB at the start, throughput was 7 % less, and what is done while code is cold a fifth. */
const callMs = 10
export const batchBytesMin = 128 * 1024
export const batchBytesMax = 768 * 1024
/** On trial: what has just taken over is slow at first, and its outputs are waited for. */
export const trialBatchBytesMax = 64 * 1024
/** Of the last call in what is known of all. */
const share = 0.5

export class BatchSize {
  #bytesPerMs = 0

  get bytes(): number {
    return Math.round(Math.min(batchBytesMax, Math.max(batchBytesMin, this.#bytesPerMs * callMs)))
  }

  /** A call has taken so long for so many bytes of records that are done. */
  answered(bytes: number, ms: number): void {
    if (bytes <= 0 || ms <= 0) return
    const now = bytes / ms
    this.#bytesPerMs += (now - this.#bytesPerMs) * (this.#bytesPerMs === 0 ? 1 : share)
  }
}

/** Of the frames that are in a batch, or left of it. */
export function bytesIn(frames: readonly { readonly bytes: Uint8Array }[]): number {
  return frames.reduce((sum, { bytes }) => sum + bytes.length, 0)
}
