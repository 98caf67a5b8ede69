/**
 * Shadowed: the isolate at work, as the worker has it, with each call told to who plays it again.
 *
 *   SW1. Nothing is waited for: a call is copied and handed on, or it is not.
 *   SW2. What is handed on is whole: a call with all that was done in it, a state as it lies between two calls.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type { BatchResult, InputFrame, Instance, Isolate } from '../isolate/index.ts'
import { copyFrame, giveBack, LogCopy } from './call-memory.ts'
import { putOffIn } from './compare.ts'
import type { Call } from './mirror.ts'

/** Who is told. */
export interface Audience {
  /** A call is about to be made, between two others. @param partitions Those whose state stays; undefined: all. @returns Whether it is wanted. */
  onCall(live: Instance, partitions: readonly number[] | undefined): boolean
  take(call: Call): void
  /** Records were done in a call that was not wanted. */
  pass(records: number): void
  /** State has come or gone: a copy of it is not what it was a copy of. */
  onMoved(): void
}

interface Open {
  readonly frames: readonly InputFrame[]
  readonly nowMs: number
  readonly log: LogCopy
  ms: number
  records: number
}

export class Shadowed implements Isolate {
  #old: Instance
  readonly #audience: Audience
  readonly #nowMs: () => number
  /** The call under way, if it is wanted. */
  #open: Open | undefined
  #kept: readonly number[] | undefined

  /** @param nowMs Monotonic. */
  constructor(old: Instance, audience: Audience, nowMs: () => number) {
    this.#old = old
    this.#audience = audience
    this.#nowMs = nowMs
    this.#watch()
  }

  /** The one at work. */
  get old(): Instance {
    return this.#old
  }

  /** Another isolate of the same version takes the place of the one at work. */
  renew(next: Instance): void {
    this.#old.watch(undefined)
    this.#old = next
    this.#watch()
    this.#audience.onMoved()
  }

  /** Nobody is told any more. */
  release(): void {
    this.#old.watch(undefined)
  }

  async run(
    frames: readonly InputFrame[],
    nowMs: number,
    lines: readonly string[] | undefined,
  ): Promise<BatchResult> {
    const isWanted = this.#audience.onCall(this.#old, this.#kept)
    this.#kept = undefined
    this.#open = isWanted
      ? { frames: frames.map(copyFrame), nowMs, log: new LogCopy(), ms: 0, records: 0 }
      : undefined
    const startMs = this.#nowMs()
    return this.#took(await this.#old.run(frames, nowMs, lines), startMs)
  }

  async resume(): Promise<BatchResult> {
    const startMs = this.#nowMs()
    return this.#took(await this.#old.resume(), startMs)
  }

  #watch(): void {
    this.#old.watch((piece) => this.#open?.log.add(piece))
  }

  #took(result: BatchResult, startMs: number): BatchResult {
    const open = this.#open
    if (open === undefined) {
      this.#audience.pass(doneIn(result))
      return result
    }
    open.ms += this.#nowMs() - startMs
    open.records += result.records
    if (result.pending) return result
    this.#open = undefined
    const { nowMs, ms, records } = open
    const log = open.log.end()
    const done = countTouched(open.frames, records)
    giveBack(open.frames.slice(done), log.length === 0 ? log : nothing)
    const frames = open.frames.slice(0, done)
    if (log.length === 0) return result
    const { batch } = this.#old.chance
    this.#audience.take({ frames, records, putOff: putOffIn(log), nowMs, batch, log, ms })
    return result
  }

  get holder(): Instance {
    return this.#old
  }

  async takeOver(from: Instance): Promise<void> {
    if (from !== this.#old) await this.#old.takeOver(from)
  }

  get nextTimerMs(): number | undefined {
    return this.#old.nextTimerMs
  }

  get state(): Instance['state'] {
    return this.#old.state
  }

  get commitWord(): number {
    return this.#old.commitWord
  }

  get isEnded(): boolean {
    return this.#old.isEnded
  }

  get cpuSeconds(): number {
    return this.#old.cpuSeconds
  }

  stats(): ReturnType<Instance['stats']> {
    return this.#old.stats()
  }

  tapped(): ReturnType<Instance['tapped']> {
    return this.#old.tapped()
  }

  keepPartitions(partitions: readonly number[]): void {
    this.#kept = partitions
    this.#old.keepPartitions(partitions)
    this.#audience.onMoved()
  }

  provideShadow(): Promise<SharedArrayBuffer> {
    return this.#old.provideShadow()
  }

  async adopt(partition: number, slabs: readonly SharedArrayBuffer[]): Promise<void> {
    this.#kept = undefined // it is applied before something is adopted
    await this.#old.adopt(partition, slabs)
    this.#audience.onMoved()
  }

  endTrial(): Promise<void> {
    return this.#old.endTrial()
  }

  settleFormat(kept?: number): Promise<void> {
    return this.#old.settleFormat(kept)
  }

  askToYield(): void {
    this.#old.askToYield()
  }

  setOutputs(outputs: Parameters<Instance['setOutputs']>[0]): void {
    this.#old.setOutputs(outputs)
  }

  destroy(): Promise<void> {
    return this.#old.destroy()
  }

  kill(): void {
    this.#old.kill()
  }

  ended(): Promise<boolean> {
    return this.#old.ended()
  }
}

const nothing = new Uint8Array(0)

/** How many of them something was done of. */
function countTouched(frames: readonly InputFrame[], records: number): number {
  let left = records
  const end = frames.findIndex((frame) => {
    const begins = left <= 0
    left -= frame.header.count - frame.skip
    return begins
  })
  return end < 0 ? frames.length : end
}

/** Without what was put off: it comes again. */
function doneIn({ records, failures }: BatchResult): number {
  return records - failures.filter(({ action }) => action === 'setAside' || action === 'behind').length
}
