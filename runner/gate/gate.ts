/**
 * Gate: one judgement of a new version. Two throw-away isolates, one of the working version and one of the new one, process the
 * frames of the tape, and their results are compared record by record, as a shadow's are.
 *
 *     state of a checkpoint, for each partition → the frames that came since, in calls of its own → findings
 *
 *   GT1. Neither the working instance nor anything that it owns is changed; frames are read where they lie on the tape.
 *   GT2. Both isolates get the same calls: frames, time, random numbers. The working version goes first; the other is compared with it.
 *   GT3. It takes `limitMs` at most; records that are not judged by then are counted.
 *   GT4. An end of the new version is a finding. An end of the other one, or a start that fails for both, is a failure of the judgement.
 *   GT5. Between two calls it rests as `rest` says: working instances need the same cores.
 *   GT6. `stop` ends it, also within a call or while an isolate is being made: what it has found by then is void.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { unlessAborted } from '../../infra/bus/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import type { OutputConfig } from '../../sdk/runtime/index.ts'
import {
  type GateError,
  type GateEvidence,
  gateErrorsMax,
  noGateEvidence,
  sumOfErrors,
} from '../../sdk/versions/gate.ts'
import type { RecordFailure } from '../isolate/index.ts'
import type { Room } from '../process/memory.ts'
import { Findings } from '../shadow/findings.ts'
import { Mirror } from '../shadow/mirror.ts'
import { Player, type PlayerOptions } from '../shadow/player.ts'
import { type Begin, beginOf, type StateSource } from './begin.ts'
import type { Tape, TapeFrame } from './tape.ts'

/** A call has frames of at most so many bytes, that were processed within so many milliseconds, or more if records are rare. */
const callBytesMax = 256 * 1024
const callMsMin = 20
/** About how many calls there are where records are rare. */
const callsAimed = 2_000
/** With fewer timed calls the median says nothing. */
const timedMin = 20
/** Calls with fewer records are not timed: most of their time is the cost of a call. */
const timedRecordsMin = 50

export interface GateSide {
  readonly isolate: Omit<PlayerOptions, 'clock' | 'onFailures' | 'stop'>
  /** Its output streams, as its manifest counts them. */
  readonly outputs: readonly OutputConfig[]
}

export interface GateOptions {
  readonly clock: Clock
  readonly tape: Pick<Tape, 'read'>
  readonly state: StateSource
  /** Memory for both isolates. */
  readonly memory: Room
  readonly live: GateSide
  readonly next: GateSide
  readonly limitMs: number
  /** GT6. */
  readonly stop?: AbortSignal
  /** Waits after so much work, so that working instances get the CPU. */
  readonly rest: (workedMs: number) => Promise<void>
}

/** GT5. @param workShare The part of the time in which it works; 1: it never rests. */
export function resting(clock: Clock, workShare: number): GateOptions['rest'] {
  if (workShare >= 1) return async () => undefined
  return (workedMs) => sleep(clock, workedMs * (1 / workShare - 1))
}

/** @returns Never rejects: a failure of the judgement is part of the evidence. */
export async function judge(options: GateOptions): Promise<GateEvidence> {
  return await options.tape.read(async (frames) => {
    const judgement = new Judgement(options)
    const kill = (): void => judgement.kill()
    options.stop?.addEventListener('abort', kill, { once: true })
    try {
      await judgement.run(frames)
    } catch (error) {
      judgement.fail((error as Error).message)
    } finally {
      await judgement.end()
      options.stop?.removeEventListener('abort', kill)
    }
    return judgement.evidence()
  })
}

class Judgement {
  readonly #options: GateOptions
  readonly #findings = new Findings({ listedMax: 0, list: () => false })
  readonly #ratios: number[] = []
  #errors: GateError[] = []
  #live: Player | undefined
  #next: Mirror | undefined
  #evidence = noGateEvidence()

  constructor(options: GateOptions) {
    this.#options = options
  }

  async run(all: readonly TapeFrame[]): Promise<void> {
    const { clock, state, memory, limitMs, live, rest, stop } = this.#options
    const endMs = clock.monotonicMs() + limitMs
    const begin = await beginOf(all, state, memory)
    const { frames } = begin
    this.#tellBegin(begin)
    const calls = callsOf(frames)
    this.#findings.given(frames.reduce((sum, frame) => sum + recordsOf(frame), 0))
    await this.#make(begin)
    if (this.#evidence.ended !== undefined) return
    for (const [index, call] of calls.entries()) {
      stop?.throwIfAborted()
      const startMs = clock.monotonicMs()
      if (startMs >= endMs) return this.#leaveOut(calls.slice(index))
      const records = call.reduce((sum, frame) => sum + recordsOf(frame), 0)
      const given = { frames: call, records, putOff: [], nowMs: call[0]!.atMs, batch: index + 1 }
      const { log, ms, fatal } = await this.#live!.play(given)
      if (fatal !== undefined) throw new Error(`the live version ended in this test: ${fatal.message}`)
      const [before, took] = [this.#findings.compared, this.#findings.tookMs]
      try {
        await this.#next!.play({ ...given, log, ms }, live.outputs)
      } catch (error) {
        this.#evidence.ended = (error as Error).message
        return this.#leaveOut(calls.slice(index), this.#findings.compared - before)
      }
      this.#time(records, took)
      await unlessAborted(rest(clock.monotonicMs() - startMs), stop)
    }
  }

  fail(why: string): void {
    this.#evidence.failed = why
    const { records, compared, missed } = this.#findings.evidence()
    this.#findings.missed('ended', records - compared - missed.behind - missed.ended)
  }

  /** Ends both isolates, and with them their copies of the state. */
  async end(): Promise<void> {
    const [live, shadow] = [this.#live?.stats(), this.#next?.stats()]
    if (live !== undefined && shadow !== undefined) {
      this.#evidence.heapBytes = { live: live.heapBytes, shadow: shadow.heapBytes }
      this.#evidence.stateBytes = { live: live.stateBytes, shadow: shadow.stateBytes }
    }
    this.kill()
    await Promise.all([this.#live?.ended(), this.#next?.ended()])
  }

  kill(): void {
    this.#live?.end()
    this.#next?.end()
  }

  evidence(): GateEvidence {
    const ratios = this.#ratios.toSorted((a, b) => a - b)
    const slowdown = ratios.length < timedMin ? undefined : ratios[ratios.length >> 1]
    return {
      ...this.#evidence,
      found: this.#findings.evidence(),
      errors: this.#errors,
      ...(slowdown === undefined ? {} : { slowdown }),
    }
  }

  #tellBegin({ frames, bytes, restored, lacking, between, atMs }: Begin): void {
    const evidence = this.#evidence
    evidence.state = { bytes, restored, lacking, between, ...(atMs === undefined ? {} : { atMs }) }
    const [first, last] = [frames[0], frames.at(-1)]
    if (first === undefined || last === undefined) return
    evidence.sinceMs = first.atMs
    evidence.untilMs = last.atMs
  }

  async #make({ frames, state }: Begin): Promise<void> {
    const { clock, live, next, stop } = this.#options
    const nowMs = frames[0]?.atMs ?? clock.nowMs()
    this.#live = await Player.create({ ...live.isolate, clock, nowMs, stop })
    await this.#live.adopt(state())
    try {
      const onFailures = (failures: readonly RecordFailure[]): void => this.#threw(failures)
      const isolate = { ...next.isolate, clock, nowMs, onFailures, stop }
      this.#next = await Mirror.create(isolate, next.outputs, this.#findings)
      await this.#next.adopt(state())
    } catch (error) {
      this.#evidence.ended = (error as Error).message
      this.#findings.missed('ended', this.#findings.evidence().records)
    }
  }

  #leaveOut(calls: readonly (readonly TapeFrame[])[], done = 0): void {
    const left = calls.flat().reduce((sum, frame) => sum + recordsOf(frame), 0) - done
    this.#findings.missed(this.#evidence.ended === undefined ? 'behind' : 'ended', left)
  }

  #threw(failures: readonly RecordFailure[]): void {
    const told = failures.filter((one) => one.told)
    if (told.length === 0) return
    const errors = told.map(({ error: { name, message, at } }) => ({
      ...{ name, message, records: 1 },
      ...(at === undefined ? {} : { at }),
    }))
    this.#errors = sumOfErrors([...this.#errors, ...errors]).slice(0, gateErrorsMax)
  }

  /** @param before The times of both before this call. */
  #time(records: number, before: { readonly live: number; readonly shadow: number }): void {
    const ms = this.#findings.tookMs
    const [live, shadow] = [ms.live - before.live, ms.shadow - before.shadow]
    if (records >= timedRecordsMin && live > 0) this.#ratios.push(shadow / live)
  }
}

/** Divides frames into calls: in order, and those of a call were processed at about the same time. */
function callsOf(frames: readonly TapeFrame[]): TapeFrame[][] {
  const spanMs = (frames.at(-1)?.atMs ?? 0) - (frames[0]?.atMs ?? 0)
  const callMsMax = Math.max(callMsMin, spanMs / callsAimed)
  const calls: TapeFrame[][] = []
  let bytes = 0
  for (const frame of frames) {
    const open = calls.at(-1)
    bytes += frame.bytes.length
    if (open !== undefined && bytes <= callBytesMax && frame.atMs - open[0]!.atMs <= callMsMax)
      open.push(frame)
    else {
      calls.push([frame])
      bytes = frame.bytes.length
    }
  }
  return calls
}

function recordsOf({ header, skip }: TapeFrame): number {
  return header.count - skip
}
