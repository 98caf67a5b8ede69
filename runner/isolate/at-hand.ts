/**
 * Which record of a batch an isolate is at, in words.
 * @module
 */
import type { InputFrame } from './types.ts'

/** @param done How many records of the batch are done. */
export function recordAt(frames: readonly InputFrame[], done: number): string {
  let left = done
  for (const { stream, partition, header, skip } of frames) {
    if (left < header.count - skip) {
      return `the record ${header.sequence + skip + left} of producer ${header.producer} in '${stream}'/${partition}`
    }
    left -= header.count - skip
  }
  return 'a batch'
}
