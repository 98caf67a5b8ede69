/**
 * Failed: where the records of a batch's failures are. Most of it is found out when it is asked for: a failure is located on the
 * way from one batch to the next, its letter is written while the next one runs.
 * @module
 */
import type { TakenFrame } from '../../infra/bus/index.ts'
import type { ErrorReport } from '../../infra/control/messages/heartbeat.ts'
import { type Letter, type NewLetter, newLetter } from '../../infra/dead-letters/index.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import { partitionOfArena } from '../../sdk/wire/arenas.ts'
import { type RawRecord, RecordWalk, recordAt } from '../../sdk/wire/frame.ts'
import type { RecordFailure } from '../isolate/index.ts'

const keyBytesShown = 256

/** A failure, and its record in a frame, of whose bytes nothing is to be read once its memory is used again. */
export class FailedRecord implements NewLetter {
  readonly failure: RecordFailure
  readonly frame: TakenFrame
  readonly #index: number
  readonly #walk: RecordWalk

  /** @param index Of the record in the frame. @param walk Over the frame. */
  constructor(failure: RecordFailure, frame: TakenFrame, index: number, walk: RecordWalk) {
    this.failure = failure
    this.frame = frame
    this.#index = index
    this.#walk = walk
  }

  get bytes(): Uint8Array {
    return this.frame.bytes
  }

  get at(): number {
    return this.#walk.offset(this.#index)
  }

  /** Views of the frame. */
  get record(): RawRecord {
    return recordAt(this.bytes, this.at)
  }

  get sequence(): number {
    return this.frame.header.sequence + this.#index
  }

  get stream(): string {
    return this.frame.stream
  }

  get partition(): number {
    return this.frame.partition
  }

  get producer(): string {
    return this.frame.header.producer
  }

  get error(): ErrorReport {
    return this.failure.error
  }

  get attempts(): number {
    return this.failure.attempts
  }

  get failedAtMs(): number {
    return this.error.timeMs
  }
}

/** The failure of a timer. */
export interface FailedTimer {
  readonly failure: RecordFailure
  readonly frame?: undefined
}

export type Failed = FailedRecord | FailedTimer

/** Must be called before the batch's frames are marked as finished, since failures count from the unfinished records. */
export function locate(batch: readonly TakenFrame[], failures: readonly RecordFailure[]): Failed[] {
  let at = 0
  /** Records of the batch before the current frame, and the walk over that frame. */
  let before = 0
  let walk: RecordWalk | undefined
  return failures.map((failure) => {
    for (let frame = batch[at]; frame !== undefined; frame = batch[++at], walk = undefined) {
      const from = frame.skip + frame.finished
      const open = frame.header.count - from
      const index = failure.index - before
      if (index < open) {
        walk ??= new RecordWalk(frame.bytes, frame.header)
        return new FailedRecord(failure, frame, from + index, walk)
      }
      before += open
    }
    return { failure }
  })
}

/** A timer as it is shown to people. */
export function shown({ partition, key, timeMs }: Timer): NonNullable<ErrorReport['timer']> {
  const text = new TextDecoder().decode(new TextEncoder().encode(key).slice(0, keyBytesShown))
  return { partition: partitionOfArena(partition), key: text, timeMs }
}

/** A failure with its record, for people, to be asked for later: what its frame's memory is needed for is read now. */
export function tellerOf(failed: Failed): () => ErrorReport {
  const { failure } = failed
  if (failed.frame === undefined) {
    const { timer } = failure
    return () => (timer === undefined ? failure.error : { ...failure.error, timer: shown(timer) })
  }
  const { stream, partition, producer, sequence, record } = failed
  const key = record.key.slice(0, keyBytesShown)
  let error: ErrorReport | undefined
  return () => {
    const text = (): string => new TextDecoder().decode(key)
    error ??= { ...failure.error, record: { stream, partition, producer, sequence, key: text() } }
    return error
  }
}

/** Those that become dead letters. */
export function lettersOf(failures: readonly Failed[]): FailedRecord[] {
  return failures.filter(
    (failed): failed is FailedRecord => failed.frame !== undefined && failed.failure.action === 'deadLetter',
  )
}

/** @param instance The owner of its state. */
export function letterOfTimer(
  { partition: arena, key, timeMs }: Timer,
  { error, attempts }: Pick<RecordFailure, 'error' | 'attempts'>,
  instance: number,
): NewLetter {
  const { name, message, stack, at } = error
  const letter: Letter = {
    record: { key: new TextEncoder().encode(key), value: new Uint8Array(0), timeMs },
    timer: { arena, instance },
    ...{ stream: '', partition: partitionOfArena(arena), producer: '', sequence: 0 },
    error: { name, message, stack, ...(at === undefined ? {} : { at }) },
    attempts,
    failedAtMs: error.timeMs,
  }
  return newLetter(letter)
}
