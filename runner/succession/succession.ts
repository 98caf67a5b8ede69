/**
 * Succession: which isolate of an instance is at work, and how another one takes its place.
 *
 *     at work → (put another) → at work
 *     at work → (swap) → on trial → passed | failed: the one before is back
 *
 *   SU1. The isolate changes between two batches only, in the order in which that was asked for.
 *   SU2. While one is on trial, the one before stands by, without state.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages.ts'
import type { StateFormat } from '../../sdk/function.ts'
import { type BatchResult, type Instance, type Isolate, inOneLine, outputsOf } from '../isolate/index.ts'
import type { Ending } from '../process/ending.ts'
import { Shadowed } from '../shadow/shadowed.ts'
import { BetweenBatches } from './between-batches.ts'
import { changeOver, LostInChangeOver, type Running } from './change-over.ts'
import { Trial, type TrialRules, type Verdict } from './trial.ts'

/** How a record or timer went with the version before. */
export interface Tried {
  /** It threw as well. */
  readonly failed: boolean
  /** The instance cannot go on. */
  readonly ending?: Ending
}

/** Two isolates as one. */
export type Pair = Isolate & { readonly old: Instance }

export interface SuccessionOptions {
  readonly clock: Clock
  /** Ends the batch at hand and wakes the worker. */
  readonly interrupt: () => void
  readonly wake: () => void
  /** Streams are as described here from now on. */
  readonly onStreams: (streams: FunctionAssignment['streams']) => void
  /** State is used in this format from here on; what another version has had in an open one is gone. */
  readonly onFormat: (format: StateFormat) => void
  /** Another isolate is at work. */
  readonly onPut: (running: Running) => void
  /** Runs what the version on trial threw at, by itself: the next record, or the timers that are due. */
  readonly runNext: (isRecord: boolean) => Promise<Tried>
  /** Runs `destroy`. */
  readonly destroy: (isolate: Isolate) => Promise<void>
}

export class Succession {
  readonly #options: SuccessionOptions
  readonly #between: BetweenBatches
  #running: Running
  #trial: Trial | undefined

  constructor(first: Running, options: SuccessionOptions) {
    this.#running = first
    this.#options = options
    this.#between = new BetweenBatches(options.interrupt)
    this.#take(first.assignment.streams, first) // they may be newer than what the isolate was made with
  }

  get running(): Running {
    return this.#running
  }

  /** Something is to be done between this batch and the next. */
  get waits(): boolean {
    return this.#between.waits || this.#trial?.isOver === true
  }

  /** Batches are to be judged before the next one begins. */
  get onTrial(): boolean {
    return this.#trial !== undefined
  }

  /** What went through the version on trial so far. */
  get triedSoFar(): number | undefined {
    return this.#trial?.records
  }

  /** From the next batch on, streams are as described here. */
  describe(streams: FunctionAssignment['streams']): void {
    this.#take({ ...this.#running.assignment.streams, ...streams }, this.#running)
  }

  /**
   * Puts another isolate in the place of the present one, which is the caller's to destroy then.
   * @throws Why the present one is still at work.
   */
  replace(next: Running): Promise<Running> {
    return this.#between.add(async () => {
      if (this.#trial !== undefined) throw new Error('a version is on trial')
      const { isolate } = this.#running
      const shadowed = isolate instanceof Shadowed ? isolate : undefined
      if (isolate !== isolate.holder && shadowed === undefined)
        throw new Error('another version has a part of the keys')
      const { version } = this.#running.assignment
      if (version !== next.assignment.version) throw new Error(`version ${version} has taken over meanwhile`)
      const { format: _, ...said } = next.assignment
      const { format } = this.#running.assignment // it may have changed meanwhile
      const assignment = format === undefined ? said : { ...said, format }
      const before = await this.#put({ ...next, assignment })
      if (shadowed !== undefined) {
        const { old } = shadowed
        shadowed.renew(next.isolate.holder)
        await this.#put({ isolate: shadowed, assignment })
        await this.#settle()
        return { ...before, isolate: old }
      }
      await this.#settle()
      return before
    }, isLost)
  }

  /**
   * The same for another version; whoever has to go is destroyed.
   * @param rules Absent: it is not on trial, nor made to be.
   * @returns How long nothing was processed for it.
   */
  swap(next: Running, rules: TrialRules | undefined, onVerdict: (verdict: Verdict) => void): Promise<number> {
    const { clock, wake, destroy } = this.#options
    return this.#between.add(async () => {
      const startMs = clock.monotonicMs()
      const before = await this.#put(next)
      await this.#settle()
      this.#standDown()
      if (rules === undefined) void destroy(before.isolate)
      else this.#trial = new Trial(before, rules, { clock, onTime: wake, onVerdict })
      return clock.monotonicMs() - startMs
    }, isLost)
  }

  /** Another version is beside this one, on keys of its own or as a shadow. @throws Why this one goes on alone. */
  split<Two extends Pair>(make: (old: Instance) => Two): Promise<Two> {
    return this.#between.add(async () => {
      if (this.#trial !== undefined) throw new Error('a version is on trial')
      const { isolate, assignment } = this.#running
      const split = make(isolate.holder)
      await this.#put({ isolate: split, assignment })
      this.#options.onFormat(split.format)
      return split
    }, isLost)
  }

  /** The old one of two is at work alone again, if they are. */
  unsplit(split: Pair): Promise<void> {
    return this.#between.add(async () => {
      const { isolate, assignment } = this.#running
      if (isolate !== split) return
      await this.#put({ isolate: split.old, assignment })
      await this.#settle()
    }, isLost)
  }

  /** What is said of formats of state, if it is said of the version at work. */
  async describeFormat({ version, format }: FunctionAssignment): Promise<void> {
    const { assignment } = this.#running
    if (version !== assignment.version || format?.kept === assignment.format?.kept) return
    await this.#between.add(async () => {
      const { isolate, assignment: present } = this.#running
      if (version !== present.version || format === undefined) return
      this.#running = { isolate, assignment: { ...present, format } }
      await this.#settle()
    }, isLost)
  }

  /** Between two batches: does what waits. */
  async advance(): Promise<void> {
    if (this.#trial?.isOver) await this.#pass(this.#trial)
    await this.#between.run()
  }

  /** What a batch says of the version on trial. @returns Why the instance cannot go on. */
  async judge(result: BatchResult): Promise<Ending | undefined> {
    const trial = this.#trial
    trial?.count(result)
    const { fatal, threw } = result
    if (trial === undefined || (fatal === undefined && threw === undefined)) return undefined
    const tried = await this.#put(trial.before)
    if (threw !== undefined) {
      const { failed, ending } = await this.#options.runNext(Number.isFinite(threw.index))
      if (ending !== undefined) return ending
      if ((failed || !trial.blame()) && (await this.#isBack(tried))) return undefined
    }
    this.#trial = undefined
    await this.#settle()
    trial.end(fatal?.message ?? inOneLine(threw!.error))
    void this.#options.destroy(tried.isolate)
    return undefined
  }

  /** The instance ends: nothing that waits will be done, and nobody is needed that stands by. */
  end(why: string): void {
    this.#between.close(why)
    this.#trial?.before.isolate.kill()
  }

  /** Goes on with the one on trial, if that has survived being put aside. */
  async #isBack(tried: Running): Promise<boolean> {
    try {
      await this.#put(tried)
      return true
    } catch (error) {
      if (isLost(error)) throw error
      return false
    }
  }

  /** Whoever was on trial is not any more, since another one has taken over: there is no use for the one before. */
  #standDown(): void {
    const trial = this.#trial
    this.#trial = undefined
    trial?.cancel()
    if (trial !== undefined) void this.#options.destroy(trial.before.isolate)
  }

  async #pass(trial: Trial): Promise<void> {
    const { isolate } = this.#running
    await isolate.endTrial()
    if (isolate.isEnded) await this.#put(trial.before)
    this.#trial = undefined
    if (isolate.isEnded) await this.#settle()
    trial.end(isolate.isEnded ? 'its isolate has ended' : undefined)
    void this.#options.destroy(isolate.isEnded ? isolate : trial.before.isolate)
  }

  /** Of the versions that had something in the state, only the one at work has from here on, and the one to go back to. */
  async #settle(): Promise<void> {
    const { isolate, assignment } = this.#running
    await isolate.settleFormat(assignment.format?.kept)
    this.#options.onFormat(isolate.format)
  }

  /** @returns What was at work before. */
  async #put(next: Running): Promise<Running> {
    const before = this.#running
    await changeOver(before.isolate, next.isolate)
    // What is known of streams is newer than what it was prepared with.
    this.#take({ ...next.assignment.streams, ...before.assignment.streams }, next)
    this.#options.onPut(this.#running)
    return before
  }

  #take(streams: FunctionAssignment['streams'], { isolate, assignment: said }: Running): void {
    const assignment = { ...said, streams }
    isolate.setOutputs(outputsOf(assignment))
    this.#running = { isolate, assignment }
    this.#options.onStreams(streams)
  }
}

function isLost(error: unknown): boolean {
  return error instanceof LostInChangeOver
}
