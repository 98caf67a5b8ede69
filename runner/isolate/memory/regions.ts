/**
 * Regions: the memory that host and isolate share (sdk/runtime/shared/layout.ts), from the host's side.
 *
 * Pages that nobody touched cost nothing: an idle instance holds a few of them, however large the regions are.
 *   G1. What is read here is copied out and checked; nothing read twice, nothing believed (LY2).
 * @module
 */

import {
  type BatchFrame,
  type BatchSize,
  type ConsoleLine,
  consoleBytes,
  control,
  controlBytes,
  controlFloats,
  inputBytes,
  metricNamesBytes,
  outcomeBytes,
  phase,
  readConsole,
  TimerAtHand,
  timerAtHandBytes,
  writeBatch,
} from '../../../sdk/runtime/index.ts'
import { arenasMax } from '../../../sdk/wire/arenas.ts'
import type { IsolateStats } from '../types.ts'

/** V8's own `set` copies word by word if one side is shared, which takes two to three times as long. */
const copyBytes: (from: Uint8Array, to: Uint8Array, at: number, start?: number, end?: number) => number =
  Function.prototype.call.bind(Buffer.prototype.copy)

/** Buffers for copied logs, reused by all instances: page faults of fresh memory would cost 30 ns a record. */
const spareLogs: Uint8Array<ArrayBuffer>[] = []
const spareLogsMax = 4
const logBytesMin = 64 * 1024

/** Returns a buffer of `copyOutcome` for reuse. */
export function giveBackLog({ buffer }: Uint8Array<ArrayBuffer>): void {
  if (spareLogs.length < spareLogsMax) spareLogs.push(new Uint8Array(buffer))
}

export class Regions {
  /**
   * The batch, then the console lines, metric names and the current timer. They share a region because a small one of
   * its own would lie in memory that malloc has touched.
   */
  readonly input = new SharedArrayBuffer(inputBytes + consoleBytes + metricNamesBytes + timerAtHandBytes)
  readonly outcome: SharedArrayBuffer
  readonly control = new SharedArrayBuffer(controlBytes)
  readonly #inputWords = new Int32Array(this.input, 0, inputBytes / 4)
  readonly #inputBytes = new Uint8Array(this.input, 0, inputBytes)
  /** The input of a call. */
  get inputView(): Uint8Array {
    return this.#inputBytes
  }

  readonly #inputBuffer = Buffer.from(this.input, 0, inputBytes)
  readonly #outcomeBytes: Uint8Array
  readonly #words = new Int32Array(this.control)
  readonly #floats = new Float64Array(this.control)
  readonly #consoleBytes = new Uint8Array(this.input, inputBytes, consoleBytes)
  readonly metricNames = new Uint8Array(this.input, inputBytes + consoleBytes, metricNamesBytes)
  readonly timerAtHand = new TimerAtHand(this.input, inputBytes + consoleBytes + metricNamesBytes)

  constructor(outputBytesPerRecord: number) {
    this.outcome = new SharedArrayBuffer(outcomeBytes(outputBytesPerRecord))
    this.#outcomeBytes = new Uint8Array(this.outcome)
  }

  /** Bytes of all regions and of the isolate's private copy of the input: the isolate's limit must allow for them. */
  get bytes(): number {
    return 2 * this.input.byteLength + this.outcome.byteLength + this.control.byteLength
  }

  writeBatch<Frame extends BatchFrame>(
    frames: readonly Frame[],
    streamOf: (frame: Frame) => number,
  ): BatchSize {
    return writeBatch(this.#inputWords, this.#inputBytes, frames, streamOf, copyBytes)
  }

  /** The batch as a string whose offsets are those of the bytes. */
  inputText(bytes: number): string {
    return this.#inputBuffer.toString('latin1', 0, bytes)
  }

  get textWanted(): boolean {
    return this.#words[control.textWanted] !== 0
  }

  /** Before a call. */
  clear(): void {
    Atomics.store(this.#words, control.yield, 0)
    Atomics.store(this.#words, control.timersOver, 0)
    Atomics.store(this.#words, control.timersMost, 0)
    Atomics.store(this.#words, control.published, 0)
    Atomics.store(this.#words, control.consoleEnd, 0)
    this.timerAtHand.clear()
  }

  askToYield(): void {
    Atomics.store(this.#words, control.yield, 1)
  }

  /** Asks for the batch's records, though more timers are due. */
  askForRecords(): void {
    Atomics.store(this.#words, control.timersOver, 1)
  }

  /** Lets the next batch call so many timers before its records, however long they take. */
  setTimersMost(count: number): void {
    Atomics.store(this.#words, control.timersMost, Math.min(count, 2 ** 30) + 1)
  }

  /** The `phase`, without its flag for a pending callback. */
  get phase(): number {
    return Atomics.load(this.#words, control.phase) & ~phase.pending
  }

  get pending(): boolean {
    return (Atomics.load(this.#words, control.phase) & phase.pending) !== 0
  }

  get pendings(): number {
    return Atomics.load(this.#words, control.pendings)
  }

  /** Up to where the outcome is final; -1 if the value is impossible. */
  get published(): number {
    const end = Atomics.load(this.#words, control.published)
    return end >= 0 && end <= this.#outcomeBytes.length && end % 4 === 0 ? end : -1
  }

  /** Sets the commit word that an earlier isolate left; before `boot`, which rolls back to it. */
  setCommitWord(value: number): void {
    Atomics.store(this.#words, control.published, value)
  }

  /** The present commit word. */
  get commitWord(): number {
    return Atomics.load(this.#words, control.published)
  }

  /** The memory for state that the current record needs, if any. */
  get wanted(): { readonly partition: number; readonly bytes: number } | undefined {
    const partition = this.#words[control.wantedPartition]! - 1
    const bytes = this.#words[control.wantedBytes]!
    return partition < 0 || partition >= arenasMax ? undefined : { partition, bytes: Math.max(bytes, 1) }
  }

  /** A private copy of a part of the outcome log, for `giveBackLog`. */
  copyOutcome(from: number, to: number): Uint8Array<ArrayBuffer> {
    const bytes = to - from
    let block = spareLogs.pop()
    if (block === undefined || block.length < bytes) block = new Uint8Array(Math.max(logBytesMin, 2 * bytes))
    copyBytes(this.#outcomeBytes, block, 0, from, to)
    return block.subarray(0, bytes)
  }

  /** The lines of the console since the last `clear` or `takeConsole`. Not while the isolate runs. */
  takeConsole(): ConsoleLine[] {
    const end = Atomics.exchange(this.#words, control.consoleEnd, 0)
    if (end <= 0) return []
    return readConsole(new Uint8Array(this.#consoleBytes.subarray(0, Math.min(end, consoleBytes) & ~3)))
  }

  get nextTimerMs(): number | undefined {
    return time(this.#floats[controlFloats.nextTimerMs]!)
  }

  get nextWakeMs(): number | undefined {
    return time(this.#floats[controlFloats.nextWakeMs]!)
  }

  /** Totals of state and timers after the last batch. */
  get stateTotals(): Pick<
    IsolateStats,
    'stateEntries' | 'stateBytes' | 'timers' | 'migrating' | 'crowded' | 'locked'
  > {
    const words = this.#words
    return {
      stateEntries: count(words[control.stateEntries]!),
      stateBytes: count(this.#floats[controlFloats.stateBytes]!),
      timers: count(words[control.timers]!),
      migrating: count(words[control.migrating]!),
      crowded: count(words[control.crowded]!),
      locked: count(words[control.locked]!),
    }
  }
}

function time(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined
}

function count(value: number): number {
  return Number.isSafeInteger(value) && value >= 0 ? value : 0
}
