/**
 * Engine: calls a function's callbacks one at a time, and commits each completely or not at all. `Intake` says what
 * is called next, `Verdicts` what happens after the call.
 *
 * One `run` processes one batch: timers that are due, then records. It ends when they are done, when the host asks
 * (`yield`), when the outcome log is long enough, or when a callback has failed for good; the host gives the
 * remaining records again. If a callback returns a promise, the batch becomes *pending*: the call returns, and the
 * rest follows when the promise settles, inside a later call (`wake`) or in the microtasks of this one.
 *
 *   E1. No callback starts before the previous one has returned and its promise has settled (I1).
 *   E2. Nothing that the author's code throws leaves this class.
 *   E3. Records do not wait until all timers have been called that are due at once: from when the host says so (`timersOver`)
 *       a batch goes on with its records, after one timer at least. If it ended among its timers (one alone can take the
 *       whole slice), the next one begins with its records.
 * @module
 */
import type { FunctionDefinition } from '../../function.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import { invoke } from '../callback/invoke.ts'
import { type CallbackServices, FunctionContext, Lifecycle, Scope } from '../callback/scope.ts'
import type { Seam } from '../callback/seam.ts'
import { Timeouts } from '../callback/timeouts.ts'
import { HostTimers } from '../housekeeping/host-timers.ts'
import { Housekeeping } from '../housekeeping/housekeeping.ts'
import { tellTotals } from '../housekeeping/totals.ts'
import type { OutcomeWriter, OutputStream } from '../outcome/outcome-writer.ts'
import { wordsOf } from '../outcome/report.ts'
import { append } from '../realm/primordials.ts'
import { isThenable } from '../realm/thenable.ts'
import { type Cursor, RecordView } from '../records/record.ts'
import type { ControlWords } from '../shared/control-words.ts'
import { control, controlFloats, phase } from '../shared/layout.ts'
import type { Timer } from '../shared/timer-at-hand.ts'
import { Timers } from '../state/timers.ts'
import type { Batch, EngineOptions } from './engine-options.ts'
import { Intake } from './intake.ts'
import { Verdicts } from './verdicts.ts'

export class Engine {
  readonly timeouts: Timeouts
  readonly #definition: FunctionDefinition
  readonly #seam: Seam
  readonly #writer: OutcomeWriter
  readonly #controlWords: ControlWords
  readonly #services: CallbackServices
  readonly #states: (KeyedState | undefined)[] = []
  readonly #intake: Intake
  readonly #verdicts: Verdicts
  readonly #housekeeping: Housekeeping
  readonly #onFinish: (() => void) | undefined
  #outputs: readonly OutputStream[] = []

  /** What the current callback uses; replaced after a callback that was asynchronous. */
  #cursor: Cursor
  #scope: Scope
  #context: FunctionContext
  #record: RecordView

  #phase: number = phase.idle
  #text: string | undefined
  #timersEnd = 0
  /** How many timers the batch has taken. */
  #timersTaken = 0
  /** Whether the batch takes no timers, since the one before took nothing else (E3). */
  #isForRecords = false
  /** The batch before has ended among its timers, with records behind them. */
  #endedInTimers = false

  constructor(options: EngineOptions) {
    this.#definition = options.definition
    this.#seam = options.seam
    this.#controlWords = options.controlWords
    this.#writer = options.writer
    this.timeouts = new Timeouts((nextMs) => {
      this.#controlWords.setFloat(controlFloats.nextWakeMs, nextMs)
    })
    this.#intake = new Intake(options, this.#states)
    this.#verdicts = new Verdicts(options, this.#intake)
    this.#housekeeping = new Housekeeping(options)
    const [states, housekeeping] = [this.#states, this.#housekeeping]
    const timers = new Timers(states, options.timerAtHand)
    this.#services = {
      seam: options.seam,
      writer: options.writer,
      timers,
      streams: new Map(),
      takesTimers: typeof options.definition.processTimer === 'function',
      stateOf(partition) {
        while (states.length <= partition) append<KeyedState | undefined>(states, undefined)
        const found = states[partition]
        if (found !== undefined) return found
        const state = options.openState(partition)
        housekeeping.take(state)
        states[partition] = state
        timers.opened(state)
        return state
      },
    }
    for (const partition of options.partitions ?? []) this.#services.stateOf(partition)
    this.setOutputs(options.outputs)
    this.#cursor = this.#intake.cursor
    this.#scope = new Scope(this.#services, this.#cursor)
    this.#context = new FunctionContext(this.#scope)
    this.#record = new RecordView(this.#cursor)
    this.#controlWords.setFloat(controlFloats.nextWakeMs, Number.POSITIVE_INFINITY)
    this.#finish()
    this.#onFinish = options.onFinish
  }

  /** True after a callback failed under the policy `fail`, or `init` or `destroy` failed. */
  get failed(): boolean {
    return this.#verdicts.failed
  }

  /** True while a callback's promise has not settled. */
  get pending(): boolean {
    return (this.#phase & phase.pending) !== 0
  }

  /** Whether setTimeout works now: a callback runs or waits. */
  get inCallback(): boolean {
    return this.#scope.live || this.pending || this.#phase === phase.lifecycle
  }

  /** Between batches: sets the output streams and their partitions. */
  setOutputs(outputs: readonly OutputStream[]): void {
    this.#outputs = outputs
    this.#services.streams = new Map(outputs.map((stream) => [stream.name, stream]))
  }

  /** Between batches: takes over state and timers of partitions from another owner. */
  adoptPartitions(partitions: readonly number[]): void {
    for (const partition of partitions) this.#services.stateOf(partition)
    this.#finish()
  }

  /** Between batches: forgets state and timers of all other partitions, which have another owner now. */
  keepPartitions(kept: readonly number[]): void {
    for (let partition = 0; partition < this.#states.length; partition++)
      if (!kept.includes(partition)) this.#states[partition] = undefined
    this.#controlWords.setWord(control.wantedPartition, 0)
    this.#finish()
  }

  /** Between batches: another isolate has state and timers of all partitions now. */
  letGo(): void {
    this.keepPartitions([])
  }

  /** Between batches: see `Housekeeping.settle`. */
  settleFormat(kept: number): void {
    this.#housekeeping.settle(this.#states, kept)
    tellTotals(this.#states, this.#controlWords, this.#seam.nowMs)
  }

  /** Ends the trial: from now on the policy applies to callbacks that fail for good. */
  endTrial(): void {
    this.#verdicts.endTrial()
  }

  /** Processes the batch in the input. */
  run({ frames, nowMs, text, lines, share }: Batch): void {
    this.#begin(nowMs)
    if (frames > 0 && share === undefined && this.#housekeeping.isOwed) return this.#sweep(undefined, true)
    this.#intake.begin(frames, lines, share)
    this.#text = text
    if (frames > 0) this.#controlWords.setWord(control.textWanted, 0)
    this.#timersEnd = this.#services.timers.orderNext
    this.#timersTaken = 0
    this.#isForRecords = this.#endedInTimers && this.#hasRecords
    this.#services.timers.begin()
    for (const stream of this.#outputs) stream.nextChunk()
    this.#enter(phase.timers)
    this.#drive()
  }

  /** Calls `init` or `destroy`. */
  lifecycle(callback: 'init' | 'destroy', nowMs: number): void {
    this.#begin(nowMs)
    this.#enter(phase.lifecycle)
    try {
      const result: unknown = this.#definition[callback]?.(new Lifecycle(this.#seam))
      if (isThenable(result)) {
        this.#pend()
        void this.#settleLifecycle(result)
        return
      }
    } catch (thrown) {
      this.#verdicts.lifecycleFailed(thrown)
    }
    this.#finish()
  }

  /** A setTimeout of a pending callback may be due. */
  wake(nowMs: number): void {
    this.#seam.nowMs = nowMs
    this.timeouts.runDue(nowMs, (thrown) => {
      this.#seam.print('error', `Uncaught in setTimeout: ${wordsOf(thrown)}`)
    })
  }

  /** Between batches: what the host does with a timer outside of callbacks. */
  atTimers(nowMs: number, act: (timers: HostTimers) => void): void {
    this.#begin(nowMs)
    act(new HostTimers(this.#services))
    this.#finish()
  }

  #begin(nowMs: number): void {
    this.#seam.nowMs = nowMs
    this.#verdicts.begin(nowMs)
    this.#writer.reset()
    this.#controlWords.setWord(control.wantedPartition, 0)
  }

  /** Takes the next record or timer and calls the callback, until the batch ends or a callback waits. */
  #drive(): void {
    while (!this.#verdicts.failed && this.#takeUp()) {
      if (this.#call()) return
      if (this.#controlWords.word(control.yield) !== 0 || this.#writer.full) break
    }
    this.#end()
  }

  /** Before the first record is taken: whether there is one. */
  get #hasRecords(): boolean {
    return this.#intake.frames > 0 && !this.#intake.share.isOver
  }

  /** Ends the batch. */
  #end(): void {
    this.#endedInTimers = this.#phase === phase.timers && this.#hasRecords
    if (this.#verdicts.failed) this.#finish()
    else this.#sweep(this.#intake.frames + this.#writer.calls === 0 ? undefined : this.#writer.calls)
  }

  /** @param calls How many records and timers the batch has finished; undefined if it had none. */
  #sweep(calls: number | undefined, isAlone = false): void {
    this.#enter(phase.tidying)
    this.#housekeeping.sweep(this.#states, calls, isAlone)
    this.#finish()
  }

  /** @returns Whether there is another timer or record. */
  #takeUp(): boolean {
    if (this.#phase === phase.timers) {
      const { share } = this.#intake
      const timer =
        share.takesTimers && this.#isForTimers
          ? this.#services.timers.takeDue(this.#seam.nowMs, this.#timersEnd, share)
          : undefined
      this.#scope.take(timer)
      if (timer !== undefined) {
        this.#timersTaken++
        return true
      }
      this.#enter(phase.records)
    }
    if (!this.#intake.next()) return false
    this.#scope.partition = this.#cursor.arena
    return true
  }

  /** Whether another timer may come before the records (E3). */
  get #isForTimers(): boolean {
    const most = this.#controlWords.word(control.timersMost)
    if (most > 0) return this.#timersTaken < most - 1
    if (this.#isForRecords) return false
    return this.#timersTaken === 0 || this.#controlWords.word(control.timersOver) === 0
  }

  /** Calls the callback, and calls it again if the policy says so. @returns Whether it waits. */
  #call(): boolean {
    const scope = this.#scope
    const cursor = this.#cursor
    cursor.text = this.#text
    for (;;) {
      scope.live = cursor.live = true
      try {
        const result = invoke(this.#definition, this.#context, this.#record, scope.timer)
        if (result !== undefined && isThenable(result)) {
          this.#pend()
          void this.#settle(result)
          return true
        }
        this.#close()
        this.#verdicts.done(scope)
        return false
      } catch (thrown) {
        this.#close()
        if (!this.#verdicts.again(scope, thrown)) return false
      }
    }
  }

  /** Waits for a callback's promise and continues the batch. Runs in microtasks; never rejects (E2). */
  async #settle(promise: PromiseLike<unknown>): Promise<void> {
    let retry = false
    try {
      await promise
      this.#resume()
      this.#close()
      this.#verdicts.done(this.#scope)
    } catch (thrown) {
      this.#resume()
      this.#close()
      retry = this.#verdicts.again(this.#scope, thrown)
    }
    const { timer, partition } = this.#scope
    this.#renew(timer, partition)
    if (retry && this.#call()) return
    if (this.#controlWords.word(control.yield) !== 0 || this.#writer.full) this.#end()
    else this.#drive()
  }

  async #settleLifecycle(promise: PromiseLike<unknown>): Promise<void> {
    try {
      await promise
      this.#resume()
    } catch (thrown) {
      this.#resume()
      this.#verdicts.lifecycleFailed(thrown)
    }
    this.#finish()
  }

  #pend(): void {
    this.#enter(this.#phase | phase.pending)
    this.#controlWords.setWord(control.pendings, this.#controlWords.word(control.pendings) + 1)
  }

  #resume(): void {
    this.#enter(this.#phase & ~phase.pending)
  }

  /** An asynchronous callback keeps its context and record; the next callback gets new ones. */
  #renew(timer: Timer | undefined, partition: number): void {
    this.#cursor = this.#intake.renew()
    this.#scope = new Scope(this.#services, this.#cursor)
    this.#scope.timer = timer
    this.#scope.partition = partition
    this.#context = new FunctionContext(this.#scope)
    this.#record = new RecordView(this.#cursor)
  }

  /** Ends the scope: what the callback left running has no effect any more. */
  #close(): void {
    const cursor = this.#cursor
    this.#scope.live = cursor.live = false
    if (cursor.textAsked) {
      cursor.textAsked = false
      this.#controlWords.setWord(control.textWanted, 1)
    }
    this.timeouts.clearAll()
  }

  #enter(to: number): void {
    this.#phase = to
    this.#controlWords.setWord(control.phase, to)
  }

  #finish(): void {
    tellTotals(this.#states, this.#controlWords, this.#seam.nowMs)
    this.#enter(phase.idle)
    this.#onFinish?.()
  }
}
