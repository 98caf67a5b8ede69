/**
 * Failed: the records behind the failures of a batch, found in one walk over its frames.
 * @module
 */
import type { TakenFrame } from '../../infra/bus/index.ts'
import type { ErrorReport } from '../../infra/control/messages.ts'
import type { Letter } from '../../infra/dead-letters/index.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import { partitionOfArena } from '../../sdk/wire/arenas.ts'
import { type RawRecord, RecordWalk } from '../../sdk/wire/frame.ts'
import type { RecordFailure } from '../isolate/index.ts'

const keyBytesShown = 256

export interface Failed {
  readonly failure: RecordFailure
  /** Where the record came in; none for a timer. */
  readonly frame?: TakenFrame
  /** There where the failure was told, or where it is needed: views of the frame, good while that is. */
  readonly record?: RawRecord
  /** The beginning of the record's key, for people; its own. */
  readonly key?: Uint8Array
  readonly sequence: number
}

/** Before the batch's frames are marked as finished: failures count records from what was not finished then. */
export function locate(batch: readonly TakenFrame[], failures: readonly RecordFailure[]): Failed[] {
  let at = 0
  /** Records of the batch before the frame at hand, and the walk over that one. */
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
        const record = walk.records.to(from + index)
        return { failure, frame, sequence, record, key: record.key.slice(0, keyBytesShown) }
      }
      before += open
    }
    return { failure, sequence: 0 }
  })
}

/** A timer as people are told of it. */
export function shown({ partition, key, timeMs }: Timer): NonNullable<ErrorReport['timer']> {
  const text = new TextDecoder().decode(new TextEncoder().encode(key).slice(0, keyBytesShown))
  return { partition: partitionOfArena(partition), key: text, timeMs }
}

/** What failed, with the record it failed on, as it is told to people and to the dead letters. */
export function errorOf({ failure, frame, key, sequence }: Failed): ErrorReport {
  const { timer } = failure
  if (timer !== undefined) return { ...failure.error, timer: shown(timer) }
  if (frame === undefined || key === undefined) return failure.error
  const { stream, partition, header } = frame
  const text = new TextDecoder().decode(key)
  return { ...failure.error, record: { stream, partition, producer: header.producer, sequence, key: text } }
}

/** The letters of those that the policy puts aside, and the frames that their records came in. */
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

/** @param instance Whose state it was in. */
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
