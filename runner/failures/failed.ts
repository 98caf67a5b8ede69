/**
 * Failed: finds the records of a batch's failures in one walk over its frames.
 * @module
 */
import type { TakenFrame } from '../../infra/bus/index.ts'
import type { ErrorReport } from '../../infra/control/messages/heartbeat.ts'
import type { Letter } from '../../infra/dead-letters/index.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import { partitionOfArena } from '../../sdk/wire/arenas.ts'
import { type RawRecord, RecordWalk } from '../../sdk/wire/frame.ts'
import type { RecordFailure } from '../isolate/index.ts'

const keyBytesShown = 256

export interface Failed {
  readonly failure: RecordFailure
  /** The frame of the record; none for a timer. */
  readonly frame?: TakenFrame
  /** Present if the failure is reported or needs it: a copy if it becomes a letter, else views of the frame, valid as long as that is. */
  readonly record?: RawRecord
  /** The record's key, or its beginning, for people; a copy. */
  readonly key?: Uint8Array
  readonly sequence: number
}

/** Must be called before the batch's frames are marked as finished, since failures count from the unfinished records. */
export function locate(batch: readonly TakenFrame[], failures: readonly RecordFailure[]): Failed[] {
  let at = 0
  /** Records of the batch before the current frame, and the walk over that frame. */
  let before = 0
  let walk: { readonly frame: TakenFrame; readonly records: RecordWalk } | undefined
  return failures.map((failure) => {
    for (let frame = batch[at]; frame !== undefined; frame = batch[++at]) {
      const from = frame.skip + frame.finished
      const open = frame.header.count - from
      const index = failure.index - before
      if (index < open) {
        const sequence = frame.header.sequence + from + index
        if (!failure.told && failure.action === 'skip') return { failure, frame, sequence }
        if (walk?.frame !== frame) walk = { frame, records: new RecordWalk(frame.bytes, frame.header) }
        const found = walk.records.to(from + index)
        if (failure.action !== 'deadLetter')
          return { failure, frame, sequence, record: found, key: found.key.slice(0, keyBytesShown) }
        const record = copyOf(found)
        return { failure, frame, sequence, record, key: record.key }
      }
      before += open
    }
    return { failure, sequence: 0 }
  })
}

/**
 * Memory that the small copies of letters share: memory of its own for each would cost more than all else in a letter. They go in the
 * order in which they came, so a block is not held for one of them; Node's pool would be, among all that is short-lived there.
 */
const blockBytes = 8 * 1024
let block = new Uint8Array(blockBytes)
let used = 0

function copyOf({ key, value, timeMs }: RawRecord): RawRecord {
  const bytes = key.length + value.length
  if (bytes > blockBytes / 4) return { key: new Uint8Array(key), value: new Uint8Array(value), timeMs }
  if (used + bytes > blockBytes) {
    block = new Uint8Array(blockBytes)
    used = 0
  }
  const copy = block.subarray(used, used + bytes)
  used += bytes
  copy.set(key)
  copy.set(value, key.length)
  return { key: copy.subarray(0, key.length), value: copy.subarray(key.length), timeMs }
}

/** A timer as it is shown to people. */
export function shown({ partition, key, timeMs }: Timer): NonNullable<ErrorReport['timer']> {
  const text = new TextDecoder().decode(new TextEncoder().encode(key).slice(0, keyBytesShown))
  return { partition: partitionOfArena(partition), key: text, timeMs }
}

/** A failure with its record, for people and for dead letters. */
export function errorOf({ failure, frame, key, sequence }: Failed): ErrorReport {
  const { timer } = failure
  if (timer !== undefined) return { ...failure.error, timer: shown(timer) }
  if (frame === undefined || key === undefined) return failure.error
  const { stream, partition, header } = frame
  const text = new TextDecoder().decode(key.subarray(0, keyBytesShown))
  return { ...failure.error, record: { stream, partition, producer: header.producer, sequence, key: text } }
}

/** Letters for the failures that become dead letters, and the frames of their records. */
export function lettersOf(failures: readonly Failed[]): {
  readonly frames: readonly TakenFrame[]
  readonly letters: readonly Letter[]
} {
  const frames: TakenFrame[] = []
  const letters: Letter[] = []
  for (const { failure, frame, record, sequence } of failures) {
    if (failure.action !== 'deadLetter' || frame === undefined || record === undefined) continue
    const { stream, partition, header } = frame
    const { timeMs: failedAtMs, name, message, stack, at } = failure.error
    const error = { name, message, stack, ...(at === undefined ? {} : { at }) }
    const { producer } = header
    frames.push(frame)
    letters.push({
      record,
      stream,
      partition,
      producer,
      sequence,
      error,
      attempts: failure.attempts,
      failedAtMs,
    })
  }
  return { frames, letters }
}

/** @param instance The owner of its state. */
export function letterOfTimer(
  { partition: arena, key, timeMs }: Timer,
  { error, attempts }: Pick<RecordFailure, 'error' | 'attempts'>,
  instance: number,
): Letter {
  const { name, message, stack, at } = error
  return {
    record: { key: new TextEncoder().encode(key), value: new Uint8Array(0), timeMs },
    timer: { arena, instance },
    ...{ stream: '', partition: partitionOfArena(arena), producer: '', sequence: 0 },
    error: { name, message, stack, ...(at === undefined ? {} : { at }) },
    attempts,
    failedAtMs: error.timeMs,
  }
}
