/**
 * AtHand: says in words what an isolate is doing.
 * @module
 */

import { phase, type Timer, type TimerAtHand } from '../../../sdk/runtime/index.ts'
import { partitionOfArena } from '../../../sdk/wire/arenas.ts'
import { RecordWalk } from '../../../sdk/wire/frame.ts'
import type { InputFrame } from '../types.ts'

/** @param done How many records of `frames` are done. */
export function atHand(
  { phase: at, timerAtHand }: { readonly phase: number; readonly timerAtHand: Pick<TimerAtHand, 'read'> },
  frames: readonly InputFrame[],
  done: () => number,
): string {
  if (at === phase.lifecycle) return 'init or destroy'
  if (at === phase.timers) return timerAt(timerAtHand.read())
  if (at === phase.tidying) return 'migrate, of an entry of state that nobody has touched,'
  return recordAt(frames, done())
}

function timerAt(timer: Timer | undefined): string {
  return timer === undefined ? 'a timer' : timerWords(timer)
}

export function timerWords(timer: Timer): string {
  return `the timer for ${timeText(timer.timeMs)} in partition ${partitionOfArena(timer.partition)} (${keyText(Buffer.from(timer.key))})`
}

/** A time that a function has set may be no date. */
export function timeText(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms`
}

function recordAt(frames: readonly InputFrame[], done: number): string {
  let left = done
  for (const { stream, partition, bytes, header, skip } of frames) {
    if (left < header.count - skip) {
      const { key } = new RecordWalk(bytes, header).to(skip + left)
      return `the record ${header.sequence + skip + left} of producer ${header.producer} in '${stream}'/${partition} (${keyText(key)})`
    }
    left -= header.count - skip
  }
  return 'a batch'
}

const keyBytesShown = 64

/** A key as in `key 'anna'`: text if it is UTF-8, else hex; shortened if it is long. */
export function keyText(key: Uint8Array): string {
  if (key.length === 0) return 'no key'
  const begin = key.subarray(0, keyBytesShown)
  const more = key.length > begin.length ? `… of ${key.length} bytes` : ''
  // What is cut off in the middle of a character ends before it.
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    const said = text.decode(begin, { stream: more !== '' })
    if (!/\p{C}/u.test(said)) return `key '${said}'${more}`
  } catch {}
  return `key 0x${Buffer.from(begin).toString('hex')}${more}`
}
