/**
 * Split: two isolates as one. The new version has the records and timers of a share of the keys, the one before has all
 * others; they run in turn on the one state, and what comes is one result.
 *
 *   SP1. One has the state at a time (change-over.ts); the new one first, so that a batch ends where it has come to.
 *   SP2. What the new one throws at for good has had no effect and is the old one's to process; so it costs no record. If
 *        the old one throws as well, it is the record's fault, and nobody's who is judged.
 *   SP3. `records` of a result are done, all of them, by whichever version: if the old one ends inside a batch, the new one
 *        finishes what that one has left before the place where the batch ends. What nobody can finish is dropped, and told: where both were
 *        ended at once, by a stop, too.
 *   SP4. When the new one ends, at its work or as it takes the state, the old one has all keys again, from that record on.
 *   SP5. A batch is of one step, its shares and who hears of it: what is told while it runs holds from the next one on.
 *   SP6. Versions are compared by the time in their isolates: the first call of a batch is the new one's, and on a busy machine it
 *        waits for a CPU before it begins, which is nobody's slowness.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import type { StateFormat } from '../../sdk/function.ts'
import type { CanaryShares } from '../../sdk/versions/canary.ts'
import type { KeyShare } from '../../sdk/wire/key-share.ts'
import {
  type BatchResult,
  behind,
  type InputFrame,
  type Instance,
  type Isolate,
  inOneLine,
  type RecordFailure,
  Results,
  type TimerCalls,
} from '../isolate/index.ts'
import type { Witness } from '../shadow/witness.ts'
import type { Side } from './measures.ts'
import { linesOf, pointsOf } from './points.ts'

const none = new Uint8Array(0)

export interface SplitOptions {
  readonly old: Instance
  /** Made to be on trial. */
  readonly canary: Instance
  readonly step: Step
  readonly nowMs: () => number
  /** Whether records that are set aside keep those of their key behind them. */
  readonly keepsOrder: boolean
  /** It has ended. */
  readonly onCanaryEnded: (why: string) => void
}

/** Who has which keys, and who hears of what came of them. */
export interface Step {
  readonly shares: CanaryShares
  /** A call of a side is about to be made, on a batch whose keys have these points, from that record on. */
  readonly onCall: (side: Side, isolate: Instance, points: Uint16Array, from: number) => void
  /** @param ms What the call took in the isolate, and what its callbacks waited; not the way there (SP6). */
  readonly onCalled: (side: Side, isolate: Instance, records: number, ms: number) => void
  /** The new version threw where the one before did not. */
  readonly onRegression: (error: string) => void
  /** The control failed so often. */
  readonly onControlFailed: (records: number) => void
  /** Sees the control's calls. */
  readonly witness?: Witness | undefined
}

/** Part of a batch that somebody has still to do. */
interface Left {
  readonly share: KeyShare | undefined
  readonly side: Side | undefined
  readonly from: number
}

export class Split implements Isolate {
  readonly old: Instance
  readonly canary: Instance
  readonly #options: SplitOptions
  #step: Step
  #holder: Instance
  /** The canary has ended, and nothing of it is in the state. */
  #isAlone = false

  constructor(options: SplitOptions) {
    this.#options = options
    this.old = options.old
    this.canary = options.canary
    this.#step = options.step
    this.#holder = options.old
  }

  /** From the next batch on. */
  step(step: Step): void {
    this.#step = step
  }

  get holder(): Instance {
    return this.#holder
  }

  async run(
    frames: readonly InputFrame[],
    nowMs: number,
    lines: readonly string[] | undefined,
  ): Promise<BatchResult> {
    const step = this.#step
    const { shares } = step
    const points = pointsOf(frames, shares.canary.salt)
    const timerMs = this.nextTimerMs
    const isTimer = timerMs !== undefined && timerMs <= nowMs
    const has = ({ from, to }: KeyShare): boolean => points.some((point) => point >= from && point < to)
    const endedBefore = this.canary.isEnded && !this.#isAlone
    const gone = endedBefore ? await this.#goOnAlone('its isolate has ended between two batches') : undefined
    if (this.#isAlone || !(isTimer || has(shares.canary))) {
      await this.#give(this.old)
      const witness = shares.control !== undefined && has(shares.control) ? step.witness : undefined
      const result = await this.#runOld(points, frames, nowMs, lines, shares.control, witness)
      return gone === undefined ? result : { ...result, gone }
    }
    const results = new Results()
    const batch: Batch = { step, frames, points, nowMs, lines: [...(lines ?? [])] }
    // SP1
    const turn = await this.#turn(batch, results, this.canary, {
      share: shares.canary,
      side: 'canary',
      from: 0,
    })
    const to = turn.at
    if (turn.fatal !== undefined && !this.old.isEnded) {
      const gone = await this.#goOnAlone(turn.fatal.fatal!.message) // SP4
      if (gone !== undefined) results.goes(gone)
    }
    const rest: Left[] = []
    for (const side of ['control', 'rest'] as const) {
      const share = shares[side]
      if (share !== undefined && (isTimer || (to > 0 && (side === 'rest' || has(share)))))
        rest.push({ share, side, from: 0 })
    }
    const broken = await this.#finish(batch, results, rest, to, this.old.isEnded ? turn.fatal : undefined)
    if (broken !== undefined) return results.total(to, broken, broken === turn.fatal)
    if (turn.threw === undefined) return results.total(to)
    return await this.#again(batch, results, to, turn.threw)
  }

  /**
   * The canary has ended: what it had of state counts no more.
   * @returns The format that this was in; undefined: the old one has ended over taking the state.
   */
  async #goOnAlone(why: string): Promise<StateFormat | undefined> {
    this.#options.onCanaryEnded(why)
    if ((await this.#failsToTake(this.old)) !== undefined) return undefined
    await this.old.settleFormat()
    this.#isAlone = true
    return this.canary.format
  }

  /** A batch without a key of the new version: all of it is the old one's. @param witness Sees what it does of `control`. */
  async #runOld(
    points: Uint16Array,
    frames: readonly InputFrame[],
    nowMs: number,
    lines: readonly string[] | undefined,
    control: KeyShare | undefined,
    witness: Witness | undefined,
  ): Promise<BatchResult> {
    if (witness !== undefined) this.old.watch((piece) => witness.add(piece))
    witness?.begin(this.old, frames, nowMs, control)
    const { result, ms } = await this.#runOn(this.old, () => this.old.run(frames, nowMs, lines))
    if (witness === undefined) return { ...result, isCanarys: none }
    this.old.watch(undefined)
    const putOff = new Set(result.failures.filter(isPutOff).map(({ index }) => index))
    const { from, to } = control!
    const isOther = (point: number, index: number): boolean =>
      (point < from || point >= to) && !putOff.has(index)
    witness.took(this.old, result, ms, points.subarray(0, result.records).filter(isOther).length)
    return { ...result, isCanarys: none }
  }

  /**
   * The old version's parts of a batch up to `to`, or, once it has ended, the new one's (SP3).
   * @param ended How it has ended before.
   * @returns How it ended.
   */
  async #finish(
    batch: Batch,
    results: Results,
    parts: readonly Left[],
    to: number,
    ended: BatchResult | undefined,
  ): Promise<BatchResult | undefined> {
    let broken = ended
    for (const { share, side, from } of parts) {
      for (let at = from; at <= to; ) {
        if (broken !== undefined && (at === to || this.canary.isEnded)) {
          results.dropOpen(batch.points, share, at, to)
          break
        }
        const isOld = broken === undefined
        const part = { share, side: isOld ? side : undefined, from: at }
        const turn = await this.#turn(batch, results, isOld ? this.old : this.canary, part, to)
        if (turn.fatal === undefined && turn.threw === undefined) break
        if (isOld) broken = turn.fatal
        at = turn.at
        if (turn.fatal !== undefined && !isAtRecord(turn.fatal)) continue // at a timer, or before it began
        results.fail(at, turn.fatal, turn.threw)
        at += 1
      }
    }
    return broken
  }

  /** What the new version threw at, by the old one (SP2). */
  async #again(
    batch: Batch,
    results: Results,
    at: number,
    threw: NonNullable<BatchResult['threw']>,
  ): Promise<BatchResult> {
    const isTimer = !Number.isFinite(threw.index)
    const share = { ...batch.step.shares.canary, records: isTimer ? 0 : 1 }
    const failedBefore = results.failures
    const turn = await this.#turn(
      batch,
      results,
      this.old,
      { share, side: undefined, from: at },
      at + share.records,
    )
    const failed = turn.fatal !== undefined || results.failures > failedBefore
    if (!failed) batch.step.onRegression(inOneLine(threw.error))
    return results.total(turn.at, turn.fatal, true)
  }

  /**
   * One isolate, from a record on, until its part is done; the new one may end early.
   * @param to Default: where it ends.
   */
  async #turn(
    batch: Batch,
    results: Results,
    isolate: Instance,
    { share, side, from }: Left,
    to?: number,
  ): Promise<Turn> {
    const { keepsOrder } = this.#options
    const { onCall, onCalled, onControlFailed } = batch.step
    const witness = side === 'control' ? batch.step.witness : undefined
    const fatal = await this.#failsToTake(isolate)
    if (fatal !== undefined)
      return { at: from, fatal: { ...new Results().total(0), fatal, recordAtHand: false } }
    let at = from
    for (;;) {
      const own = share && { ...share, ...(to === undefined ? {} : { records: to - at }) }
      const lines = batch.lines.length === 0 ? undefined : batch.lines
      const frames = behind(batch.frames, at)
      if (side !== undefined) onCall(side, isolate, batch.points, at)
      witness?.begin(isolate, frames, batch.nowMs, share)
      const { result, ms } = await this.#runOn(isolate, () => isolate.run(frames, batch.nowMs, lines, own))
      witness?.took(isolate, result, ms)
      if (side !== undefined) onCalled(side, isolate, result.records - result.elsewhere, ms)
      if (side === 'control')
        onControlFailed(result.failures.filter(({ action }) => action !== 'behind').length)
      if (keepsOrder) batch.lines.push(...linesOf(frames, result.failures))
      results.add(result, at)
      if (isolate === this.canary) results.byCanary(batch.points, share, at, at + result.records)
      at += result.records
      if (result.fatal !== undefined) return { at, fatal: result }
      if (result.threw !== undefined) return { at, threw: result.threw }
      if (to === undefined || at >= to) return { at }
    }
  }

  async atTimers(): Promise<TimerCalls> {
    await this.#give(this.old)
    return await this.old.atTimers()
  }

  /** To the end of the callback that waits. @returns `ms` as SP6 says. */
  async #runOn(
    isolate: Instance,
    run: () => Promise<BatchResult>,
  ): Promise<{ result: BatchResult; ms: number }> {
    const { nowMs } = this.#options
    const results = new Results()
    let at = 0
    let elsewhere = 0
    const secondsBefore = isolate.cpuSeconds
    let result = await run()
    let ms = Math.max(0, isolate.cpuSeconds - secondsBefore) * 1000 // it counts nothing any more once it has ended
    for (;;) {
      results.add(result, at)
      at += result.records
      elsewhere += result.elsewhere
      if (!result.pending) break
      const waitsMs = nowMs()
      result = await isolate.resume()
      ms += nowMs() - waitsMs
    }
    const { fatal, threw, recordAtHand, timerAtHand } = result
    return {
      result: {
        ...results.total(at),
        elsewhere,
        ...(fatal && { fatal }),
        ...(recordAtHand !== undefined && { recordAtHand }),
        ...(timerAtHand && { timerAtHand }),
        ...(threw && { threw }),
      },
      ms,
    }
  }

  /** The state goes to who runs next. @returns Why that one has ended over it. @throws Why nobody can have it any more. */
  async #failsToTake(next: Instance): Promise<BatchResult['fatal']> {
    try {
      await this.#give(next)
      return undefined
    } catch (error) {
      if (!next.isEnded) throw error
      return error as NonNullable<BatchResult['fatal']>
    }
  }

  /** The same. @throws Why it cannot have it: whoever had it has it still, or it has ended with it. */
  async #give(next: Instance): Promise<void> {
    const before = this.#holder
    if (before === next) return
    const { state } = before
    this.#holder = next
    try {
      await next.takeOver(before)
    } catch (error) {
      if (before.state === state) this.#holder = before
      throw error
    }
  }

  async resume(): Promise<BatchResult> {
    throw new Error('invariant: a split batch is never pending')
  }

  /** Takes the state from another one, which is not of this pair. */
  async takeOver(from: Instance): Promise<void> {
    this.#holder = this.old
    if (from !== this.old) await this.old.takeOver(from)
  }

  get nextTimerMs(): number | undefined {
    return this.#holder.nextTimerMs
  }

  get state(): Instance['state'] {
    return this.#holder.state
  }

  get commitWord(): number {
    return this.#holder.commitWord
  }

  get isEnded(): boolean {
    return this.old.isEnded
  }

  get cpuSeconds(): number {
    return this.old.cpuSeconds + this.canary.cpuSeconds
  }

  stats(): ReturnType<Instance['stats']> {
    const { stateEntries, stateBytes, timers, migrating, crowded, locked } = this.#holder.stats()
    return { ...this.old.stats(), stateEntries, stateBytes, timers, migrating, crowded, locked }
  }

  tapped(): ReturnType<Instance['tapped']> {
    return this.old.tapped()
  }

  keepPartitions(partitions: readonly number[]): void {
    this.#holder.keepPartitions(partitions)
    this.#step.witness?.keep(partitions)
  }

  provideShadow(): Promise<SharedArrayBuffer> {
    return this.#holder.provideShadow()
  }

  async adopt(partition: number, slabs: readonly SharedArrayBuffer[]): Promise<void> {
    this.#step.witness?.beforeAdopted()
    await this.#holder.adopt(partition, slabs)
    this.#step.witness?.moved()
  }

  async endTrial(): Promise<void> {}

  /** Of what the canary has in the state, which may go again; when it has ended, that has gone. */
  get format(): Instance['format'] {
    return this.#isAlone ? this.old.format : this.canary.format
  }

  /** Both have something in the state. */
  async settleFormat(): Promise<void> {}

  askToYield(): void {
    this.old.askToYield()
    this.canary.askToYield()
  }

  setOutputs(outputs: Parameters<Instance['setOutputs']>[0]): void {
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
    return this.#holder.ended()
  }
}

/** Whether it has ended at a record. */
function isAtRecord({ recordAtHand, failures }: BatchResult): boolean {
  const last = failures.at(-1)
  return recordAtHand === true || (last?.action === 'fail' && Number.isFinite(last.index))
}

/** It comes again. */
function isPutOff({ action }: RecordFailure): boolean {
  return action === 'setAside' || action === 'behind'
}

interface Batch {
  readonly step: Step
  readonly frames: readonly InputFrame[]
  readonly points: Uint16Array
  readonly nowMs: number
  /** What waits for records that were set aside, those of this batch too. */
  readonly lines: string[]
}

interface Turn {
  readonly at: number
  readonly fatal?: BatchResult
  readonly threw?: NonNullable<BatchResult['threw']>
}
