/**
 * Engine: calls a function's callbacks, one at a time, and makes each count wholly or not at all.
 *
 * One `run` is one batch: timers that are due, then records. It ends when they are done, when the host asks (`yield`),
 * when the outcome log is long enough, or when a callback failed for good; what was not taken up, the host gives again.
 * A callback that returns a promise leaves the batch *pending*: the call returns, and the rest follows when the promise
 * settles, inside a later call (`wake`) or in the microtasks of this one.
 *
 *   E1. No callback starts before the one before it has returned and its promise has settled (I1).
 *   E2. Records are taken up in the order of the frames and of the records in them (I2).
 *   E3. A callback that throws or rejects leaves no output, state or timer; then the policy says what follows (I3).
 *   E4. Nothing that the author's code throws comes out of this class.
 *   E5. A callback that met a lack of memory for state is as if it had not been called, whatever it made of that.
 *   E6. On trial, a callback that throws for good ends the batch and has had no effect: it is another isolate's to call.
 * @module
 */
import type { FunctionDefinition } from '../../function.ts'
import { policyOf } from '../../manifest/policy.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import { FunctionContext, Lifecycle, Scope, type Workshop } from '../callback/scope.ts'
import type { Seam } from '../callback/seam.ts'
import { Timeouts } from '../callback/timeouts.ts'
import { Housekeeping } from '../housekeeping/housekeeping.ts'
import { TimerDesk } from '../housekeeping/timer-desk.ts'
import { tellTotals } from '../housekeeping/totals.ts'
import type { OutcomeWriter, OutputStream } from '../outcome/outcome-writer.ts'
import { reportOf, wordsOf } from '../outcome/report.ts'
import type { ReportBudget } from '../outcome/report-budget.ts'
import { append } from '../realm/primordials.ts'
import { isThenable } from '../realm/thenable.ts'
import { Aside } from '../records/aside.ts'
import { Cursor, type Input, RecordView } from '../records/record.ts'
import { Share } from '../records/share.ts'
import type { Board } from '../shared/board.ts'
import {
  control,
  controlFloats,
  entryKind,
  inputRowAside,
  inputRowWords,
  phase,
  type Reaction,
  verdict,
  verdictOf,
} from '../shared/layout.ts'
import type { Timer } from '../shared/timer-at-hand.ts'
import { LookAhead } from '../state/look-ahead.ts'
import { Timers } from '../state/timers.ts'
import type { Batch, EngineOptions } from './engine-options.ts'

export class Engine {
  readonly timeouts: Timeouts
  readonly #lookAhead: LookAhead
  readonly #definition: FunctionDefinition
  readonly #seam: Seam
  readonly #inputs: readonly string[]
  readonly #arenas: readonly number[] | undefined
  readonly #input: Input
  readonly #writer: OutcomeWriter
  readonly #board: Board
  readonly #workshop: Workshop
  readonly #states: (KeyedState | undefined)[] = []
  readonly #aside: Aside
  readonly #share = new Share()
  readonly #housekeeping: Housekeeping
  #onTrial: boolean
  readonly #reports: ReportBudget | undefined
  readonly #onThrown: ((thrown: unknown) => void) | undefined
  readonly #onFinish: (() => void) | undefined
  #outputs: readonly OutputStream[] = []

  /** What the callback at hand is given; renewed when it goes async. */
  #cursor: Cursor
  #scope: Scope
  #context: FunctionContext
  #record: RecordView

  #phase: number = phase.idle
  #text: string | undefined
  #frames = 0
  #frame = 0
  #recordsLeft = 0
  #recordNext = 0
  #timersEnd = 0
  /** Which attempt the callback at hand is, and the report of the one before. */
  #attempt = 1
  #failure: string | undefined
  #failed = false

  constructor(options: EngineOptions) {
    this.#definition = options.definition
    this.#seam = options.seam
    this.#inputs = options.inputs
    this.#arenas = options.arenas
    this.#input = options.input
    this.#lookAhead = new LookAhead(options.input)
    this.#reports = options.reports
    this.#onThrown = options.onThrown
    this.#board = options.board
    this.#writer = options.writer
    this.timeouts = new Timeouts((nextMs) => {
      this.#board.setFloat(controlFloats.nextWakeMs, nextMs)
    })
    this.#aside = new Aside(policyOf(options.policy))
    this.#onTrial = options.onTrial === true
    this.#housekeeping = new Housekeeping(options)
    const [states, housekeeping] = [this.#states, this.#housekeeping]
    const timers = new Timers(states, options.timerAtHand)
    this.#workshop = {
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
    for (const partition of options.partitions ?? []) this.#workshop.stateOf(partition)
    this.setOutputs(options.outputs)
    this.#cursor = new Cursor(this.#input)
    this.#scope = new Scope(this.#workshop, this.#cursor)
    this.#context = new FunctionContext(this.#scope)
    this.#record = new RecordView(this.#cursor)
    this.#board.setFloat(controlFloats.nextWakeMs, Number.POSITIVE_INFINITY)
    this.#finish()
    this.#onFinish = options.onFinish
  }

  /** True once a callback failed under the policy `fail`, or `init` or `destroy` did. */
  get failed(): boolean {
    return this.#failed
  }

  /** True while a callback's promise has not settled. */
  get pending(): boolean {
    return (this.#phase & phase.pending) !== 0
  }

  /** Whether setTimeout means anything now: a callback runs or waits. */
  get inCallback(): boolean {
    return this.#scope.live || this.pending || this.#phase === phase.lifecycle
  }

  /** Between batches: the output streams are other ones now, or have other partitions. */
  setOutputs(outputs: readonly OutputStream[]): void {
    this.#outputs = outputs
    this.#workshop.streams = new Map(outputs.map((stream) => [stream.name, stream]))
  }

  /** Between batches: state and timers of these partitions have come from another owner. */
  adoptPartitions(partitions: readonly number[]): void {
    for (const partition of partitions) this.#workshop.stateOf(partition)
    this.#finish()
  }

  /** Between batches: forgets state and timers of all partitions but these; another owner has the others now. */
  keepPartitions(kept: readonly number[]): void {
    for (let partition = 0; partition < this.#states.length; partition++)
      if (!kept.includes(partition)) this.#states[partition] = undefined
    this.#board.setWord(control.wantedPartition, 0)
    this.#finish()
  }

  /** Between batches: another isolate has state and timers of all partitions now. */
  letGo(): void {
    this.keepPartitions([])
  }

  /** Between batches: see `Housekeeping.settle`. */
  settleFormat(kept: number): void {
    this.#housekeeping.settle(this.#states, kept)
    tellTotals(this.#states, this.#board, this.#seam.nowMs)
  }

  /** From now on a callback that throws for good is treated as the policy says. */
  endTrial(): void {
    this.#onTrial = false
  }

  /** Processes a batch that lies in the input. */
  run({ frames, nowMs, text, lines, share }: Batch): void {
    this.#begin(nowMs)
    if (frames > 0 && share === undefined && this.#housekeeping.isOwed) return this.#sweep(undefined, true)
    this.#aside.begin(lines)
    this.#share.begin(share)
    this.#text = text
    if (frames > 0) this.#board.setWord(control.textWanted, 0)
    this.#frames = frames
    this.#frame = 0
    this.#recordsLeft = 0
    this.#timersEnd = this.#workshop.timers.orderNext
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
      this.#lifecycleFailed(thrown)
    }
    this.#finish()
  }

  /** A pending callback's setTimeout may be due. */
  wake(nowMs: number): void {
    this.#seam.nowMs = nowMs
    this.timeouts.runDue(nowMs, (thrown) => {
      this.#seam.print('error', `Uncaught in setTimeout: ${wordsOf(thrown)}`)
    })
  }

  /** Between batches: what the host does with a timer beside callbacks. */
  atTimers(nowMs: number, act: (desk: TimerDesk) => void): void {
    this.#begin(nowMs)
    act(new TimerDesk(this.#workshop))
    this.#finish()
  }

  #begin(nowMs: number): void {
    this.#seam.nowMs = nowMs
    this.#reports?.renew(nowMs)
    this.#writer.reset()
    this.#board.setWord(control.wantedPartition, 0)
    this.#failed = false
  }

  /** Takes up what is next and calls the callback, until the batch ends or a callback waits. */
  #drive(): void {
    while (!this.#failed && this.#takeUp()) {
      if (this.#call()) return
      if (this.#board.word(control.yield) !== 0 || this.#writer.full) break
    }
    this.#end()
  }

  /** The batch is over. */
  #end(): void {
    if (this.#failed) this.#finish()
    else this.#sweep(this.#frames === 0 ? undefined : this.#writer.records)
  }

  /** @param records How many the batch has done; undefined: none was to be. */
  #sweep(records: number | undefined, isAlone = false): void {
    this.#enter(phase.tidying)
    this.#housekeeping.sweep(this.#states, records, isAlone)
    this.#finish()
  }

  /** @returns Whether there is another timer or record. */
  #takeUp(): boolean {
    if (this.#phase === phase.timers) {
      const timer = this.#workshop.timers.takeDue(this.#seam.nowMs, this.#timersEnd, this.#share)
      this.#scope.take(timer)
      if (timer !== undefined) return true
      this.#enter(phase.records)
    }
    const cursor = this.#cursor
    for (;;) {
      while (this.#recordsLeft === 0) {
        if (this.#frame === this.#frames) return false
        this.#openFrame(this.#frame++)
      }
      if (this.#share.isOver) return false
      this.#lookAhead.look(this.#states[cursor.arena], this.#recordNext, this.#recordsLeft)
      this.#recordsLeft--
      cursor.moveTo(this.#recordNext)
      this.#recordNext = cursor.next
      const passes = this.#share.passes(cursor)
      if (!passes && !this.#aside.waits(cursor)) break
      this.#writer.done(entryKind.record, passes ? verdict.elsewhere : verdict.behind)
    }
    this.#scope.partition = cursor.arena
    return true
  }

  /** Goes to the first record of a frame that is not to be skipped. The host has checked the frame whole. */
  #openFrame(frame: number): void {
    const { words } = this.#input
    const row = frame * inputRowWords
    const offset = words[row + 1]!
    const skip = words[row + 2]!
    const sizes = words[(offset >> 2) + 1]!
    const cursor = this.#cursor
    cursor.stream = this.#inputs[words[row]!]!
    cursor.partition = sizes >>> 16
    cursor.arena = cursor.partition + (this.#arenas?.[words[row]!] ?? 0)
    this.#recordNext = offset + (sizes & 0xffff)
    this.#recordsLeft = words[(offset >> 2) + 7]!
    this.#attempt = this.#aside.open(words[row + inputRowAside]!)
    this.#writer.retries = this.#attempt > 1 ? 1 : 0
    for (let i = 0; i < skip; i++) {
      cursor.moveTo(this.#recordNext)
      this.#recordNext = cursor.next
      this.#recordsLeft--
    }
    this.#lookAhead.forget()
  }

  /** Calls the callback for what was taken up, again where the policy says so. @returns Whether it waits. */
  #call(): boolean {
    const scope = this.#scope
    const cursor = this.#cursor
    cursor.text = this.#text
    for (;;) {
      scope.live = cursor.live = true
      try {
        const { timer } = scope
        const result: unknown =
          timer === undefined
            ? this.#definition.processRecord!(this.#context, this.#record)
            : this.#definition.processTimer!(this.#context, timer.key, timer.timeMs)
        if (result !== undefined && isThenable(result)) {
          this.#pend()
          void this.#settle(result)
          return true
        }
        this.#done()
        return false
      } catch (thrown) {
        if (!this.#again(thrown)) return false
      }
    }
  }

  /** Waits for the promise of a callback and goes on with the batch. Runs in microtasks; never rejects (E4). */
  async #settle(promise: PromiseLike<unknown>): Promise<void> {
    let retry = false
    try {
      await promise
      this.#resume()
      this.#done()
    } catch (thrown) {
      this.#resume()
      retry = this.#again(thrown)
    }
    const { timer, partition } = this.#scope
    this.#renew(timer, partition)
    if (retry && this.#call()) return
    if (this.#board.word(control.yield) !== 0 || this.#writer.full) this.#end()
    else this.#drive()
  }

  async #settleLifecycle(promise: PromiseLike<unknown>): Promise<void> {
    try {
      await promise
      this.#resume()
    } catch (thrown) {
      this.#resume()
      this.#lifecycleFailed(thrown)
    }
    this.#finish()
  }

  #lifecycleFailed(thrown: unknown): void {
    this.#onThrown?.(thrown)
    this.#giveUp(0, thrown)
  }

  #pend(): void {
    this.#enter(this.#phase | phase.pending)
    this.#board.setWord(control.pendings, this.#board.word(control.pendings) + 1)
  }

  #resume(): void {
    this.#enter(this.#phase & ~phase.pending)
  }

  /** A callback that went async keeps its context and record; the next one gets its own. */
  #renew(timer: Timer | undefined, partition: number): void {
    this.#cursor = this.#cursor.again()
    this.#scope = new Scope(this.#workshop, this.#cursor)
    this.#scope.timer = timer
    this.#scope.partition = partition
    this.#context = new FunctionContext(this.#scope)
    this.#record = new RecordView(this.#cursor)
  }

  get #kind(): number {
    return this.#scope.timer === undefined ? entryKind.record : entryKind.timer
  }

  /** The callback at hand went through. */
  #done(): void {
    this.#close()
    if (this.#board.word(control.wantedPartition) !== 0) return this.#putOff()
    this.#scope.commit()
    if (this.#attempt > 1) this.#report('retried', this.#failure)
    this.#writer.done(this.#kind, verdict.processed)
  }

  /** The callback at hand threw: takes back what it did (E3). @returns Whether to call it again. */
  #again(thrown: unknown): boolean {
    this.#close()
    if (this.#board.word(control.wantedPartition) !== 0) {
      this.#putOff()
      return false
    }
    this.#scope.rollback()
    this.#writer.rollback()
    this.#onThrown?.(thrown)
    const told = this.#reports?.spend() ?? true
    const { retries, last } = this.#aside.policy
    const isRecord = this.#scope.timer === undefined
    if (isRecord && !this.#onTrial && this.#aside.takes(this.#attempt)) {
      this.#aside.hold(this.#cursor)
      this.#giveAway('setAside', thrown, told)
      return false
    }
    if (this.#attempt <= retries && !(isRecord && this.#aside.isLast)) {
      this.#scope.retake()
      this.#attempt++
      this.#writer.retries++
      this.#failure = told ? reportOf(thrown, this.#reports?.hasStacks) : undefined
      return true
    }
    if (this.#onTrial) {
      this.#giveUp(this.#kind, thrown) // E6: a timer too is as it was
      this.#attempt = 1
      return false
    }
    this.#scope.retake()
    this.#scope.commit() // a timer is gone even so
    if (last === 'fail') this.#giveUp(this.#kind, thrown)
    else this.#giveAway(last, thrown, told)
    return false
  }

  /** There was no memory for its state, but there will be: undone, and the batch ends before it (E5). */
  #putOff(): void {
    this.#scope.rollback()
    this.#writer.rollback()
    this.#attempt = 1
    this.#writer.retries = 0
    this.#failure = undefined
    this.#board.setWord(control.yield, 1)
  }

  #giveAway(reaction: keyof typeof verdictOf, thrown: unknown, told: boolean): void {
    this.#report(
      reaction,
      told || reaction === 'deadLetter' ? reportOf(thrown, this.#reports?.hasStacks) : undefined,
    )
    this.#writer.done(this.#kind, verdictOf[reaction])
  }

  /** No more callbacks: the host ends this instance. */
  #giveUp(kind: number, thrown: unknown): void {
    this.#failed = true
    this.#writer.report(kind, 'fail', this.#attempt, reportOf(thrown), this.#scope.timer)
    this.#writer.publish()
  }

  /** @param text Undefined: it is counted and not told. */
  #report(reaction: Reaction, text: string | undefined): void {
    if (text !== undefined) this.#writer.report(this.#kind, reaction, this.#attempt, text, this.#scope.timer)
    this.#attempt = 1
    this.#failure = undefined
  }

  /** Whatever the callback left behind acts on nothing any more. */
  #close(): void {
    const cursor = this.#cursor
    this.#scope.live = cursor.live = false
    if (cursor.textAsked) {
      cursor.textAsked = false
      this.#board.setWord(control.textWanted, 1)
    }
    this.timeouts.clearAll()
  }

  #enter(to: number): void {
    this.#phase = to
    this.#board.setWord(control.phase, to)
  }

  #finish(): void {
    tellTotals(this.#states, this.#board, this.#seam.nowMs)
    this.#enter(phase.idle)
    this.#onFinish?.()
  }
}
