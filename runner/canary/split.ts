/**
 * Split: a canary and the old version behind one interface, on one state. Who does what of a batch, SharedBatch says; here it is done.
 *
 *   SP1. One has the state at a time: it goes to who is called next (change-over.ts).
 *   SP2. When the canary ends, at its work or over taking the state, the old one takes the state back, and has all keys from then on.
 *        Nothing of the canary's is in it then.
 *   SP3. When the old one ends, so does the instance. A batch never throws: what ended it is in its result.
 *   SP4. A batch is of one step, its shares and who hears of it: what is told while it runs holds from the next one on.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import {
  type BatchResult,
  behind,
  type InputFrame,
  type Isolate,
  inOneLine,
  isolateError,
  Results,
  type RunOptions,
  type SingleIsolate,
  type TimerCalls,
} from '../isolate/index.ts'
import { hasPointOf, linesOf, othersIn, pointsOf } from './points.ts'
import { type Call, SharedBatch } from './shared-batch.ts'
import type { Step } from './step.ts'
import { timedCall } from './timed-call.ts'

export interface SplitOptions {
  readonly old: SingleIsolate
  /** Made to be on trial. */
  readonly canary: SingleIsolate
  readonly step: Step
  readonly nowMs: () => number
  /** Whether records that are set aside keep those of their key behind them. */
  readonly keepsOrder: boolean
  /** It has ended; without a reason between two batches. */
  readonly onCanaryEnded: (why: BatchResult['fatal']) => void
}

/** What the calls on a batch are given. */
interface Input {
  readonly step: Step
  readonly frames: readonly InputFrame[]
  readonly points: Uint16Array
  readonly nowMs: number
  /** What waits for records that were set aside, those of this batch too. */
  readonly lines: string[]
}

export class Split implements Isolate {
  readonly old: SingleIsolate
  readonly canary: SingleIsolate
  readonly #options: SplitOptions
  #step: Step
  #state: SingleIsolate['state']
  /** The canary has ended, and nothing of it is in the state. */
  #isAlone = false

  constructor(options: SplitOptions) {
    this.#options = options
    this.old = options.old
    this.canary = options.canary
    this.#step = options.step
    this.#state = options.old.state
  }

  /** From the next batch on. */
  step(step: Step): void {
    this.#step = step
  }

  /** Whichever it was passed to, whoever passed it. */
  get holder(): SingleIsolate {
    return this.canary.state === this.#state ? this.canary : this.old
  }

  async run(
    frames: readonly InputFrame[],
    nowMs: number,
    { lines = [] }: Pick<RunOptions, 'lines'> = {},
  ): Promise<BatchResult> {
    const step = this.#step
    const { shares } = step
    const points = pointsOf(frames, shares.canary.salt)
    const isTimer = (this.nextTimerMs ?? Number.POSITIVE_INFINITY) <= nowMs
    const canary = this.#isAlone ? 'gone' : this.canary.isEnded ? 'ended' : 'works'
    const batch = new SharedBatch({ points, shares, isTimer, canary })
    const input = { step, frames, points, nowMs, lines: [...lines] }
    for (let turn = batch.next(); turn !== undefined; turn = batch.next())
      batch.took(turn.kind === 'call' ? await this.#call(input, turn) : await this.#takeBack(turn.why))
    if (batch.regression !== undefined) step.onRegression(inOneLine(batch.regression.error))
    return batch.result
  }

  async #call({ step, frames: all, points, nowMs, lines }: Input, turn: Call): Promise<BatchResult> {
    const { side, share, from, isOne } = turn
    const isolate = this[turn.by]
    const lost = await this.#give(isolate)
    if (lost !== undefined) return endedBy(lost)
    const frames = behind(all, from)
    const { control } = step.shares
    const isControls = share === undefined ? control && hasPointOf(control, points) : side === 'control'
    const witness = isControls ? step.witness : undefined
    if (side !== undefined) step.onCall(side, isolate, points, from)
    else if (witness !== undefined) isolate.watch((piece) => witness.add(piece))
    witness?.begin(isolate, frames, nowMs, control)
    const { result, ms } = await timedCall(isolate, this.#options.nowMs, () =>
      isolate.run(frames, nowMs, {
        lines: lines.length > 0 ? lines : undefined,
        share,
        isOne: isOne === true,
      }),
    )
    witness?.took(isolate, result, ms, share === undefined ? othersIn(points, control!, result) : 0)
    if (side !== undefined) step.onCalled(side, isolate, result.records - result.elsewhere, ms)
    else if (witness !== undefined) isolate.watch(undefined)
    if (side === 'control')
      step.onControlFailed(result.failures.filter(({ action }) => action !== 'behind').length)
    if (this.#options.keepsOrder) lines.push(...linesOf(frames, result.failures))
    return result
  }

  /** SP2. @returns What the canary had in the state, as gone; or how the old one has ended. */
  async #takeBack(why: BatchResult['fatal']): Promise<BatchResult> {
    const lost = await this.#give(this.old)
    if (lost !== undefined) return endedBy(lost)
    const { format } = this.canary
    await this.old.settleFormat() // if it ends over that, its next call says so
    this.#isAlone = true
    this.#options.onCanaryEnded(why)
    return { ...nothing, gone: format }
  }

  /** The state goes to who runs next (SP1). @returns Why that one cannot. */
  async #give(next: SingleIsolate): Promise<BatchResult['fatal']> {
    const { holder } = this
    try {
      if (holder !== next) await next.takeOver(holder)
    } catch (error) {
      next.kill() // where the one before may be at work still, nobody can have the state
      return error as NonNullable<BatchResult['fatal']>
    }
    if (!next.isEnded) return undefined
    return isolateError('ERR_ISOLATE_LOST', 'Cannot go on: the isolate that has the state has ended')
  }

  async resume(): Promise<BatchResult> {
    throw new Error('invariant: a split batch is never pending')
  }

  async atTimers(): Promise<TimerCalls> {
    const lost = await this.#give(this.old)
    if (lost !== undefined) throw lost
    return await this.old.atTimers()
  }

  /** Takes the state from one that is not of this pair. Put back after the old one could not take it, either may have it. */
  async takeOver(from: SingleIsolate): Promise<void> {
    if (from === this.old) return
    this.#state = from.state
    await this.old.takeOver(from)
  }

  get nextTimerMs(): number | undefined {
    return this.holder.nextTimerMs
  }

  get state(): SingleIsolate['state'] {
    return this.holder.state
  }

  get commitWord(): number {
    return this.holder.commitWord
  }

  get isEnded(): boolean {
    return this.old.isEnded
  }

  get cpuSeconds(): number {
    return this.old.cpuSeconds + this.canary.cpuSeconds
  }

  stats(): ReturnType<SingleIsolate['stats']> {
    const { stateEntries, stateBytes, timers, migrating, crowded, locked } = this.holder.stats()
    return { ...this.old.stats(), stateEntries, stateBytes, timers, migrating, crowded, locked }
  }

  tapped(): ReturnType<SingleIsolate['tapped']> {
    return this.old.tapped()
  }

  keepPartitions(partitions: readonly number[]): void {
    this.holder.keepPartitions(partitions)
    this.#step.witness?.keep(partitions)
  }

  shadowBytesAhead(pages: number): number {
    return this.holder.shadowBytesAhead(pages)
  }

  async collect(): Promise<void> {
    await Promise.all([this.old.collect(), this.canary.collect()])
  }

  provideShadow(): Promise<SharedArrayBuffer> {
    return this.holder.provideShadow()
  }

  async adopt(partition: number, slabs: readonly SharedArrayBuffer[]): Promise<void> {
    this.#step.witness?.beforeAdopted()
    const lost = this.canary.isEnded ? await this.#give(this.old) : undefined // SP2; the next batch tells of it
    if (lost !== undefined) throw lost
    await this.holder.adopt(partition, slabs)
    this.#step.witness?.moved()
  }

  async endTrial(): Promise<undefined> {}

  /** Of what the canary has in the state, which may go again; when it has ended, that has gone. */
  get format(): SingleIsolate['format'] {
    return this.#isAlone ? this.old.format : this.canary.format
  }

  /** Both have something in the state. */
  async settleFormat(): Promise<void> {}

  askToYield(): void {
    this.old.askToYield()
    this.canary.askToYield()
  }

  setOutputs(outputs: Parameters<SingleIsolate['setOutputs']>[0]): void {
    this.old.setOutputs(outputs)
    this.canary.setOutputs(outputs)
  }

  async destroy(): Promise<void> {
    await Promise.all([this.old.destroy(), this.canary.destroy()])
  }

  kill(): void {
    this.old.kill()
    this.canary.kill()
  }

  /** After the end of the old one: nothing goes on without it. */
  ended(): Promise<boolean> {
    this.kill()
    return this.holder.ended()
  }
}

const nothing = new Results().total(0)

function endedBy(fatal: NonNullable<BatchResult['fatal']>): BatchResult {
  return { ...nothing, fatal, recordAtHand: false }
}
