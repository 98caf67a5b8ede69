/**
 * Mirror: an isolate that is played the calls of another one, and what it makes of them otherwise.
 *
 *   MR1. It does the records that were done in a call, in their order, and no other; so each is compared once.
 *   MR2. Time and chance of a call are those of the other one (I6), state is its own since it was given a copy.
 *   MR3. What it throws at is skipped. What it puts out goes nowhere.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import { giveBackMemory } from '../../infra/bus/index.ts'
import { type Clock, systemClock } from '../../infra/clock.ts'
import type { Manifest } from '../../sdk/manifest.ts'
import { policyOf } from '../../sdk/policy.ts'
import type { OutputConfig } from '../../sdk/runtime/index.ts'
import { behind } from '../canary/results.ts'
import { type InputFrame, Instance, type InstanceOptions } from '../isolate/index.ts'
import { compare } from './compare.ts'
import { differenceOf, timersDifference } from './difference.ts'
import type { Findings } from './findings.ts'

/** What an isolate was given in a call, and did. Its memory is given back once it was played (call-memory.ts). */
export interface Call {
  /** Copies. */
  readonly frames: readonly InputFrame[]
  /** Records of them that were done. */
  readonly records: number
  /** Those of them that come again, in another call, and are not to be done in this one. */
  readonly putOff: readonly number[]
  readonly nowMs: number
  readonly batch: number
  readonly log: Uint8Array<ArrayBuffer>
  /** How long it took. */
  readonly ms: number
}

/** Slabs of each partition, at rest. */
export type StateCopy = ReadonlyMap<number, readonly SharedArrayBuffer[]>

/** Calls without a record done, after which it is no use. */
const idleTurnsMax = 50
/** Records that it is not timed at: its code is not compiled yet. */
const untimedRecords = 1_000
/** Word of a frame that says how many records it has. */
const countAt = 28

export class Mirror {
  readonly #instance: Instance
  readonly #clock: ShiftedClock
  readonly #findings: Findings
  readonly #outputs: readonly OutputConfig[]
  #untimed = untimedRecords

  private constructor(
    instance: Instance,
    clock: ShiftedClock,
    findings: Findings,
    outputs: readonly OutputConfig[],
  ) {
    this.#instance = instance
    this.#clock = clock
    this.#findings = findings
    this.#outputs = outputs
  }

  /** @param outputs The streams, as its manifest counts them. @throws {CodedError} Why it cannot be made. */
  static async create(
    options: Omit<InstanceOptions, 'clock'> & { readonly clock?: Clock },
    outputs: readonly OutputConfig[],
    findings: Findings,
  ): Promise<Mirror> {
    const clock = new ShiftedClock(options.clock ?? systemClock)
    const manifest = { ...options.manifest, onError: skipping(options.manifest) }
    const instance = await Instance.create({ ...options, manifest, clock })
    return new Mirror(instance, clock, findings, outputs)
  }

  /** Takes over a copy of the other one's state; before the first call. */
  async adopt(state: StateCopy): Promise<void> {
    for (const [partition, slabs] of state) await this.#instance.adopt(partition, slabs)
  }

  /** @param outputs The streams of the other one. @throws {CodedError} Why it has ended; what it did before is compared. */
  async play(call: Call, outputs: readonly OutputConfig[]): Promise<void> {
    const instance = this.#instance
    const pieces: Uint8Array[] = []
    this.#clock.set(call.nowMs)
    instance.watch((piece) => pieces.push(piece.slice()))
    const startMs = this.#clock.monotonicMs()
    let fatal: Error | undefined
    for (const [from, to] of partsOf(call)) {
      fatal = await this.#run(call, from, to)
      if (fatal !== undefined) break
    }
    instance.watch(undefined)
    const compared = this.#compare(call, joined(pieces), outputs)
    if (this.#untimed > 0) this.#untimed -= compared
    else if (fatal === undefined) this.#findings.timed(compared, call.ms, this.#clock.monotonicMs() - startMs)
    if (fatal !== undefined) throw fatal
  }

  /** @returns Why it has ended. */
  async #run({ frames, nowMs, batch }: Call, from: number, to: number): Promise<Error | undefined> {
    const instance = this.#instance
    let idle = 0
    for (let at = from; ; ) {
      let result = await instance.run(between(frames, at, to), nowMs, undefined, undefined, batch)
      for (;;) {
        for (const { frame } of result.outputs) giveBackMemory(frame)
        at += result.records
        if (result.records + result.timersFired > 0) idle = 0
        if (result.fatal !== undefined) return result.fatal
        if (!result.pending) break
        result = await instance.resume()
      }
      if (at >= to) return undefined
      if (++idle > idleTurnsMax) return new Error('it does nothing any more')
    }
  }

  #compare(call: Call, log: Uint8Array<ArrayBuffer>, outputs: readonly OutputConfig[]): number {
    const findings = this.#findings
    let compared = 0
    compare(
      { log: call.log, outputs },
      { log, outputs: this.#outputs },
      {
        record: (index, same, live, shadow) => {
          compared++
          findings.record(live, shadow)
          if (!same) findings.differs(() => differenceOf(call.frames, index, live, shadow))
        },
        timers: (same, live, shadow) =>
          findings.timers(same, () => timersDifference(call.nowMs, live, shadow)),
      },
    )
    return compared
  }

  end(): void {
    this.#instance.kill()
  }

  /** After that. @returns Whether the memory of its state may be used again. */
  ended(): Promise<boolean> {
    return this.#instance.ended()
  }
}

/** The records to be done in a call, in parts: what was put off in it is left out (MR1). Timers that are due come with the first. */
function partsOf({ putOff, records }: Call): (readonly [number, number])[] {
  const parts: (readonly [number, number])[] = []
  let from = 0
  for (const index of [...putOff, records]) {
    if (index > from) parts.push([from, index])
    from = index + 1
  }
  return parts.length === 0 ? [[0, 0]] : parts
}

/** Records `from` to `to` of frames. A frame says itself how many it has: the copies are changed. */
function between(frames: readonly InputFrame[], from: number, to: number): InputFrame[] {
  let left = to - from
  return behind(frames, from).flatMap((frame) => {
    const count = Math.min(frame.header.count, frame.skip + left)
    left -= count - frame.skip
    if (count === frame.skip) return []
    const { bytes } = frame
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(countAt, count, true)
    return [{ ...frame, header: { ...frame.header, count } }]
  })
}

/** A record that was tried before is here for the first time, and it is not tried again later (MR1, MR3). */
function skipping({ onError }: Manifest): Manifest['onError'] {
  const { retries } = policyOf(onError)
  if (retries === 0) return 'skip'
  // biome-ignore lint/suspicious/noThenProperty: never a function, so never a thenable -- manifest
  return { retry: retries, then: 'skip', waitMs: 0, waitMaxMs: 0, keepOrder: false }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const log = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    log.set(piece, at)
    at += piece.length
  }
  return log
}

/** Wall time as it was at some moment, going on from there. */
class ShiftedClock implements Clock {
  readonly #clock: Clock
  #aheadMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  set(nowMs: number): void {
    this.#aheadMs = nowMs - this.#clock.nowMs()
  }

  nowMs(): number {
    return this.#clock.nowMs() + this.#aheadMs
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#clock.after(delayMs, run)
  }
}
