/**
 * What an isolate is at, in words.
 * @module
 */
import { phase } from '../../sdk/runtime/index.ts'
import type { InputFrame } from './types.ts'

/** @param done How many records of `frames` are done. */
export function atHand(at: number, frames: readonly InputFrame[], done: () => number): string {
  if (at === phase.lifecycle) return 'init or destroy'
  if (at === phase.timers) return 'a timer'
  if (at === phase.tidying) return 'migrate, of an entry of state that nobody has touched,'
  return recordAt(frames, done())
}

function recordAt(frames: readonly InputFrame[], done: number): string {
  let left = done
  for (const { stream, partition, header, skip } of frames) {
    if (left < header.count - skip) {
      return `the record ${header.sequence + skip + left} of producer ${header.producer} in '${stream}'/${partition}`
    }
    left -= header.count - skip
  }
  return 'a batch'
}
