/**
 * Succession: which isolate of an instance works, and how another one takes its place.
 *
 *     at work → (put another) → at work
 *     at work → (swap) → on trial → passed | failed: the one before is back
 *
 *   SU1. The isolate changes only between two batches, in the order of the requests.
 *   SU2. While a version is on trial, the one before stands by, without state.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { StateFormat } from '../../sdk/function.ts'
import { type BatchResult, type Isolate, inOneLine, outputsOf, type SingleIsolate } from '../isolate/index.ts'
import type { Ending } from '../process/ending.ts'
import { Shadowed } from '../shadow/shadowed.ts'
import { BetweenBatches } from './between-batches.ts'
import { changeOver, LostInChangeOver, type Running } from './change-over.ts'
import { Trial, type TrialRules, type Verdict } from './trial.ts'

/** The result of a record or timer with the previous version. */
export interface Tried {
  /** The previous version threw as well. */
  readonly failed: boolean
  /** Set if the instance cannot continue. */
  readonly ending?: Ending
}

/** Two isolates that work as one: a canary or a shadow beside the old version. */
export type Pair = Isolate & { readonly old: SingleIsolate }

export interface SuccessionOptions {
  readonly clock: Clock
  /** Ends the current batch early, and wakes the worker. */
  readonly interrupt: () => void
  readonly wake: () => void
  /** Called with the streams from now on. */
  readonly onStreams: (streams: FunctionAssignment['streams']) => void
  /** Called with the format of state from now on; effects in another version's open format are lost. */
  readonly onFormat: (format: StateFormat) => void
  /** Called when another isolate has taken over. */
  readonly onPut: (running: Running) => void
  /** Runs what the version on trial threw at, by itself: the next record, or the due timers. */
  readonly runNext: (isRecord: boolean) => Promise<Tried>
  /** Runs `destroy`. */
  readonly destroy: (left: Running) => Promise<void>
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
    this.#take(first.assignment.streams, first) // they may be newer than those that the isolate was made with
  }

  get running(): Running {
    return this.#running
  }

  /** Whether there is work before the next batch. */
  get waits(): boolean {
    return this.#between.waits || this.#trial?.isOver === true
  }

  /** Whether each batch has to be judged before the next begins. */
  get onTrial(): boolean {
    return this.#trial !== undefined
  }

  /** Records that the version on trial has processed. */
  get triedSoFar(): number | undefined {
    return this.#trial?.records
  }

  /** Sets the streams from the next batch on. */
  describe(streams: FunctionAssignment['streams']): void {
    this.#take({ ...this.#running.assignment.streams, ...streams }, this.#running)
  }

  /**
   * Replaces the present isolate, which the caller then has to destroy.
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
      const { format } = this.#running.assignment // the format may have changed meanwhile
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
   * Swaps in another version; the replaced isolate is destroyed.
   * @param rules Absent: it is not on trial, and was not made for one.
   * @returns How long processing paused for it.
   */
  swap(next: Running, rules: TrialRules | undefined, onVerdict: (verdict: Verdict) => void): Promise<number> {
    const { clock, wake, destroy } = this.#options
    return this.#between.add(async () => {
      const startMs = clock.monotonicMs()
      const before = await this.#put(next)
      await this.#settle()
      const standby = await this.#standby(before)
      if (rules === undefined || this.#between.isClosed) void destroy(standby)
      else this.#trial = new Trial(standby, rules, { clock, onTime: wake, onVerdict })
      return clock.monotonicMs() - startMs
    }, isLost)
  }

  /**
   * Puts another version beside this one, with keys of its own or as a shadow.
   * @throws Why this one continues alone.
   */
  split<Two extends Pair>(make: (old: SingleIsolate) => Two): Promise<Two> {
    return this.#between.add(async () => {
      if (this.#trial !== undefined) throw new Error('a version is on trial')
      const { isolate, assignment } = this.#running
      const split = make(isolate.holder)
      await this.#put({ isolate: split, assignment })
      this.#options.onFormat(split.format)
      return split
    }, isLost)
  }

  /** Returns to the old isolate alone, if there are two. */
  unsplit(split: Pair): Promise<void> {
    return this.#between.add(async () => {
      const { isolate, assignment } = this.#running
      if (isolate !== split) return
      await this.#put({ isolate: split.old, assignment })
      await this.#settle()
    }, isLost)
  }

  /**
   * Called when another version is gone for good without having worked beside this one. It may have worked when the state was stored;
   * its part of the state counts no more.
   */
  settle(): Promise<void> {
    return this.#between.add(async () => {
      if (this.#trial === undefined) await this.#settle()
    }, isLost)
  }

  /** Applies the formats of state in an assignment, if it is about the running version. */
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

  /** Between two batches: does the waiting work. */
  async advance(): Promise<void> {
    if (this.#trial?.isOver) await this.#pass(this.#trial)
    await this.#between.run()
  }

  /** Judges the version on trial by a batch. @returns Set if the instance cannot continue. */
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
    trial.end(fatal ?? new Error(inOneLine(threw!.error)))
    void this.#options.destroy(tried)
    return undefined
  }

  /** Ends with the instance: waiting work fails, and the isolate that stands by is ended. */
  end(why: string): void {
    this.#between.close(why)
    this.#trial?.cancel()
    this.#trial?.before.isolate.kill()
  }

  /** Continues with the version on trial, if it survived being put aside. */
  async #isBack(tried: Running): Promise<boolean> {
    try {
      await this.#put(tried)
      return true
    } catch (error) {
      if (isLost(error)) throw error
      return false
    }
  }

  /**
   * Ends a trial because another version has taken over.
   * @returns Whom to go back to: the one that worked before, or, if that was on trial and ends over this, the one before it.
   */
  async #standby(before: Running): Promise<Running> {
    const trial = this.#trial
    if (trial === undefined) return before
    const ended = await before.isolate.endTrial() // from now on the policy handles its failures
    this.#trial = undefined
    trial.cancel()
    const [standby, other] = ended === undefined ? [before, trial.before] : [trial.before, before]
    void this.#options.destroy(other)
    return standby
  }

  async #pass(trial: Trial): Promise<void> {
    const tried = this.#running
    const ended = await tried.isolate.endTrial()
    if (ended !== undefined) await this.#put(trial.before)
    this.#trial = undefined
    if (ended !== undefined) await this.#settle()
    trial.end(ended)
    void this.#options.destroy(ended === undefined ? trial.before : tried)
  }

  /** Declares that only the running version, and the one to go back to, still need the state: no canary is awaited any more. */
  async #settle(): Promise<void> {
    const { isolate, assignment } = this.#running
    const { canary: _, ...alone } = assignment
    this.#running = { isolate, assignment: alone }
    await isolate.settleFormat(assignment.format?.kept)
    this.#options.onFormat(isolate.format)
  }

  /** @returns The isolate that worked before. */
  async #put(next: Running): Promise<Running> {
    const before = this.#running
    await changeOver(before.isolate, next.isolate)
    // The present description of streams is newer than the one that the isolate was made with.
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
