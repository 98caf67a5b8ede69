/**
 * Shadowed: the working isolate as the worker sees it; a witness copies each of its calls for the shadow (witness.ts).
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type {
  BatchResult,
  InputFrame,
  Isolate,
  RunOptions,
  SingleIsolate,
  TimerCalls,
} from '../isolate/index.ts'
import { type Audience, Witness } from './witness.ts'

export class Shadowed implements Isolate {
  #old: SingleIsolate
  readonly #witness: Witness
  readonly #nowMs: () => number

  /** @param nowMs Monotonic. */
  constructor(old: SingleIsolate, audience: Audience, nowMs: () => number) {
    this.#old = old
    this.#witness = new Witness(audience)
    this.#nowMs = nowMs
    this.#watch()
  }

  /** The working isolate. */
  get old(): SingleIsolate {
    return this.#old
  }

  /** Replaces the working isolate by another one of the same version. */
  renew(next: SingleIsolate): void {
    this.#old.watch(undefined)
    this.#old = next
    this.#watch()
    this.#witness.moved()
  }

  /** Copies no more calls. */
  release(): void {
    this.#old.watch(undefined)
  }

  async run(
    frames: readonly InputFrame[],
    nowMs: number,
    how?: Pick<RunOptions, 'lines'>,
  ): Promise<BatchResult> {
    this.#witness.begin(this.#old, frames, nowMs)
    const startMs = this.#nowMs()
    return this.#took(await this.#old.run(frames, nowMs, how), startMs)
  }

  async resume(): Promise<BatchResult> {
    const startMs = this.#nowMs()
    return this.#took(await this.#old.resume(), startMs)
  }

  #watch(): void {
    this.#old.watch((piece) => this.#witness.add(piece))
  }

  #took(result: BatchResult, startMs: number): BatchResult {
    this.#witness.took(this.#old, result, this.#nowMs() - startMs)
    return result
  }

  get holder(): SingleIsolate {
    return this.#old
  }

  async takeOver(from: SingleIsolate): Promise<void> {
    if (from !== this.#old) await this.#old.takeOver(from)
  }

  get nextTimerMs(): number | undefined {
    return this.#old.nextTimerMs
  }

  get state(): SingleIsolate['state'] {
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

  stats(): ReturnType<SingleIsolate['stats']> {
    return this.#old.stats()
  }

  tapped(): ReturnType<SingleIsolate['tapped']> {
    return this.#old.tapped()
  }

  keepPartitions(partitions: readonly number[]): void {
    this.#old.keepPartitions(partitions)
    this.#witness.keep(partitions)
  }

  shadowBytesAhead(pages: number): number {
    return this.#old.shadowBytesAhead(pages)
  }

  collect(): Promise<void> {
    return this.#old.collect()
  }

  provideShadow(): Promise<SharedArrayBuffer> {
    return this.#old.provideShadow()
  }

  async adopt(partition: number, slabs: readonly SharedArrayBuffer[]): Promise<void> {
    this.#witness.beforeAdopted()
    await this.#old.adopt(partition, slabs)
    this.#witness.moved()
  }

  /** Calls of single timers are not copied: the shadow begins anew. */
  atTimers(): Promise<TimerCalls> {
    this.#witness.moved()
    return this.#old.atTimers()
  }

  endTrial(): Promise<Error | undefined> {
    return this.#old.endTrial()
  }

  get format(): SingleIsolate['format'] {
    return this.#old.format
  }

  settleFormat(kept?: number): Promise<void> {
    return this.#old.settleFormat(kept)
  }

  askToYield(): void {
    this.#old.askToYield()
  }

  setOutputs(outputs: Parameters<SingleIsolate['setOutputs']>[0]): void {
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
