/**
 * Results: combines the results of several calls on one batch.
 * @module
 */
import type { ErrorReport } from '../../../infra/control/messages/heartbeat.ts'
import type { OutputFrame, Timer } from '../../../sdk/runtime/index.ts'
import type { BatchResult, InputFrame, RecordFailure } from '../types.ts'

export class Results {
  readonly #outputs: OutputFrame[] = []
  readonly #failures: RecordFailure[] = []
  #timersFired = 0
  #recordsOut = 0
  #retries = 0

  /** @param from The index in the batch of the call's first record. */
  add({ outputs, failures, timersFired, recordsOut, retries }: BatchResult, from: number): void {
    this.#outputs.push(...outputs())
    this.#timersFired += timersFired
    this.#recordsOut += recordsOut
    this.#retries += retries
    for (const failure of failures) this.#failures.push(new Moved(failure, failure.index + from))
  }

  /** Marks a record that cannot be processed any more as failed. */
  fail(at: number, { fatal, failures }: Partial<BatchResult> = {}, threw?: RecordFailure): void {
    const last = this.#failures.at(-1)
    const told = failures?.at(-1)
    if (told?.action === 'fail' && last?.action === 'fail' && last.index === at) {
      this.#failures.pop()
      this.#failures.push(asDone(last, at))
    } else if (threw !== undefined) this.#failures.push(asDone(threw, at))
    else this.#failures.push(lost(at, fatal?.message ?? 'its instance ended', told?.error.timeMs ?? 0))
  }

  /** Marks a record as lost with its instance, which had not processed it. */
  lose(at: number, why: string): void {
    this.#failures.push(lost(at, why, 0))
  }

  /**
   * @param broken The result of the call that ended the instance.
   * @param isAtHand Whether the first unfinished record was being processed.
   */
  total(records: number, broken?: BatchResult, isAtHand = false): BatchResult {
    const fatal = broken?.fatal
    return {
      records,
      outputs: () => this.#outputs,
      failures: this.#failures.toSorted((a, b) => a.index - b.index),
      timersFired: this.#timersFired,
      recordsOut: this.#recordsOut,
      retries: this.#retries,
      elsewhere: 0,
      pending: false,
      ...(fatal === undefined ? {} : { fatal, recordAtHand: isAtHand && broken?.recordAtHand === true }),
      ...(broken?.timerAtHand && { timerAtHand: broken.timerAtHand }),
    }
  }
}

/** The rest of frames after this many finished records. */
export function behind(frames: readonly InputFrame[], records: number): readonly InputFrame[] {
  if (records === 0) return frames
  let left = records
  return frames.flatMap((frame) => {
    const done = Math.min(left, frame.header.count - frame.skip)
    left -= done
    return frame.skip + done < frame.header.count ? [{ ...frame, skip: frame.skip + done }] : []
  })
}

/** A failure at another place of a larger batch. Its error is read when it is asked for. */
class Moved implements RecordFailure {
  readonly index: number
  readonly action: RecordFailure['action']
  readonly attempts: number
  readonly told: boolean
  readonly stackless?: boolean
  readonly isDone?: boolean
  readonly timer?: Timer
  readonly #failure: RecordFailure

  constructor(failure: RecordFailure, index: number) {
    const { action, attempts, told, stackless, isDone, timer } = failure
    this.index = index
    this.action = action
    this.attempts = attempts
    this.told = told
    if (stackless) this.stackless = true
    if (isDone) this.isDone = true
    if (timer) this.timer = timer
    this.#failure = failure
  }

  get error(): ErrorReport {
    return this.#failure.error
  }
}

function asDone(failure: RecordFailure, index: number): RecordFailure {
  const { attempts, told, stackless, timer, error } = failure
  return {
    ...{ index, action: 'fail', attempts, told, isDone: true, error },
    ...(timer && { timer }),
    ...(stackless && { stackless }),
  }
}

function lost(index: number, message: string, timeMs: number): RecordFailure {
  const error = { name: 'Error', message, stack: '', timeMs }
  return { index, action: 'fail', attempts: 1, told: true, isDone: true, error }
}
