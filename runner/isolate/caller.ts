/**
 * Caller: makes one call of the runtime at a time, and reads its result.
 *
 *   CL1. Published output is read once, in order: a result covers what was published since the one before, whether
 *        its call ended well or not.
 *   CL2. A failed call has ended the isolate; its output is read when it can change no more.
 * Design: docs/design/0004-batch-path.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { CodedError } from '../../sdk/errors.ts'
import { emptyOutcome, phase } from '../../sdk/runtime/index.ts'
import { type CallLimitsOptions, callLimits } from './calls/call-limits.ts'
import type { GuestCall } from './calls/isolate-call.ts'
import { Waiting } from './calls/waiting.ts'
import { type IsolateErrorCode, isolateError } from './errors.ts'
import type { Entry, Guest } from './guest/guest.ts'
import type { Regions } from './memory/regions.ts'
import type { OutcomeTail } from './outcome/outcome-tail.ts'
import type { UserMetrics } from './outcome/user-metrics.ts'
import { atHand } from './report/at-hand.ts'
import { failuresOf, inOneLine } from './report/failure.ts'
import type { StackMap } from './report/stack-map.ts'
import type { HeldState } from './state/held-state.ts'
import type { Tap } from './tap/tap.ts'
import type { BatchResult, InputFrame, IsolateOptions } from './types.ts'

/** Handing in memory takes microseconds; this leaves room for a busy machine. */
const giveMs = 10_000

export type Fatal = CodedError<IsolateErrorCode>

export interface CallerOptions {
  readonly of: IsolateOptions
  /** The function and its version, for messages. */
  readonly name: string
  readonly clock: Clock
  readonly regions: Regions
  readonly guest: Guest
  readonly held: HeldState
  readonly outcome: OutcomeTail
  readonly metrics: UserMetrics
  readonly stackMap: StackMap
  readonly tap: Tap | undefined
}

export class Caller {
  /** On trial, the error of a callback is not a failure but `threw` in the result. */
  onTrial = false
  /** Discard what the function prints and counts. */
  isMuted = false
  /** Called with each piece of an outcome log, read and checked. */
  onLog: ((log: Uint8Array<ArrayBuffer>) => void) | undefined
  readonly #options: CallerOptions
  readonly #limits: CallLimitsOptions
  readonly #waiting: Waiting
  /** The frames of the current batch, and how many of their records are done. */
  #frames: readonly InputFrame[] = []
  #recordsDone = 0
  /** When the batch began. */
  #beganMs = 0

  constructor(options: CallerOptions) {
    const { of, name, clock, regions, guest } = options
    const { heapMib, asyncMs } = of.manifest.limits
    this.#options = options
    this.#waiting = new Waiting({
      ...{ clock, regions, guest, asyncMs },
      late: (why) => isolateError('ERR_DEADLINE', `Cannot wait for ${this.#atHand()} of ${name}: ${why}`),
    })
    this.#limits = {
      ...{ clock, sliceMs: of.sliceMs, heapMib, memory: of.memory },
      doing: () => this.#atHand(),
      askToYield: () => regions.askToYield(),
      askForRecords: () => regions.askForRecords(),
      onOutgrown: (how) => guest.end(isolateError('ERR_MEMORY', `Cannot go on with ${name}: ${how}`)),
    }
  }

  /** Before the calls on a batch. */
  begin(frames: readonly InputFrame[]): void {
    this.#options.regions.clear()
    this.#frames = frames
    this.#recordsDone = 0
    this.#beganMs = this.#options.clock.monotonicMs()
    this.#options.outcome.begin()
  }

  /** Makes one call. @returns Its result. */
  async call(
    entry: Entry,
    args: readonly unknown[],
    limitMs = this.#options.of.manifest.limits.callbackMs,
    here = false,
  ): Promise<BatchResult> {
    const { guest, tap, clock } = this.#options
    const limits = callLimits(this.#limits, limitMs, clock.monotonicMs() - this.#beganMs)
    tap?.call(entry, args)
    try {
      await guest.call(entry, args, here ? { ...limits, here } : limits)
    } catch (error) {
      return this.result(await this.#end(limits.judged(error as Fatal)))
    } finally {
      limits.over()
    }
    return this.result()
  }

  /** Waits for the next setTimeout of a pending callback, and runs it. */
  async wake(limitMs?: number, endMs = Number.POSITIVE_INFINITY): Promise<BatchResult> {
    try {
      await this.#waiting.untilWake(endMs)
    } catch (error) {
      return this.result(error as Fatal)
    }
    return await this.call('wake', [this.#options.clock.nowMs()], limitMs)
  }

  /** A call without a result, such as one that hands memory in. If it fails, the isolate ends. */
  async give(call: (limits: GuestCall) => Promise<void>): Promise<void> {
    const limits = callLimits(this.#limits, giveMs)
    try {
      await call(limits)
    } catch (error) {
      await this.#end(error as Fatal)
    } finally {
      limits.over()
    }
  }

  /** Reads what has been published since the last result (CL1). */
  result(fatal?: Fatal): BatchResult {
    const { of, name, clock, regions, guest, held, tap, metrics, stackMap } = this.#options
    const recordAtHand = regions.phase === phase.records
    const timerAtHand = regions.phase === phase.timers ? regions.timerAtHand.read() : undefined
    const tail = this.#options.outcome
    let outcome = emptyOutcome()
    try {
      outcome = tail.read()
      tap?.result(outcome, tail.log, fatal)
      if (!this.isMuted) metrics.take(outcome.metrics)
    } catch (error) {
      outcome = emptyOutcome()
      fatal = isolateError('ERR_ISOLATE_LOST', (error as Error).message)
      held.store.lose()
    }
    // An error of the observer is our bug, and no reason to discard the state.
    if (this.onLog !== undefined && outcome.records + outcome.timers > 0) this.onLog(tail.log)
    this.#recordsDone += outcome.records
    if (outcome.records + outcome.timers > 0) held.putOff = 0
    else if (regions.wanted !== undefined) held.putOff++
    const failures = failuresOf(outcome.reports, stackMap, clock.nowMs(), of.log)
    const last = failures.at(-1)
    const threw = this.onTrial && last?.action === 'fail' ? failures.pop() : undefined
    if (threw === undefined && last?.action === 'fail') {
      const why = `${name} failed in processing: ${inOneLine(last.error)}`
      fatal ??= isolateError('ERR_FUNCTION_FAILED', why, { error: last.error })
    }
    this.passOnConsole()
    if (fatal !== undefined) guest.end(fatal)
    const { records, timers, retries, recordsOut, elsewhere } = outcome
    return {
      ...{ records, failures, timersFired: timers, retries, recordsOut, elsewhere },
      outputs: outcome.outputs,
      pending: fatal === undefined && regions.pending,
      ...(fatal === undefined ? {} : { fatal, recordAtHand, ...(timerAtHand && { timerAtHand }) }),
      ...(threw === undefined ? {} : { threw }),
    }
  }

  passOnConsole(): void {
    const { regions, of, stackMap } = this.#options
    for (const { level, line } of regions.takeConsole())
      if (!this.isMuted) of.log(level, stackMap.mapLine(line))
  }

  /** Ends the isolate and waits for its end (CL2). */
  async #end(why: Fatal): Promise<Fatal> {
    this.#options.guest.end(why)
    await this.#options.held.ended()
    return why
  }

  #atHand(): string {
    const { regions, outcome } = this.#options
    return atHand(regions, this.#frames, () => this.#recordsDone + outcome.recordsUnread())
  }
}
