/**
 * Shadow: a version beside a working instance, which never waits for it.
 *
 *     making → ready → working → behind → making → …        from each: ended
 *
 *   SH1. Calls queue up to `queueMib`. Beyond that it is behind: further calls are missed until the queue is empty, and it begins anew.
 *   SH2. It has one copy of the state at a time, made between two calls; making copies takes at most a hundredth of the time.
 *   SH3. Every record of the working version is counted: compared, or missed and why.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import { type Clock, sleep } from '../../infra/clock.ts'
import type { ShadowRules } from '../../sdk/manifest/manifest.ts'
import type { OutputConfig } from '../../sdk/runtime/index.ts'
import type { ShadowEvidence } from '../../sdk/versions/shadow.ts'
import type { SingleIsolate, StateStore } from '../isolate/index.ts'
import type { Room } from '../process/memory.ts'
import { CpuBudget } from '../usage/cpu-budget.ts'
import { bytesHeld, giveBack } from './call-memory.ts'
import type { Findings } from './findings.ts'
import type { Call, Mirror } from './mirror.ts'
import type { StateCopy } from './player.ts'
import type { Audience } from './witness.ts'

/** The pause between two copies of the state, as a multiple of the time that the last one took (SH2). */
const copyShare = 100
/** The least pause doubles each time that it falls behind, and is short again after `againMaxMs` without that. */
const againMinMs = 1_000
const againMaxMs = 16_000

export interface ShadowOptions {
  readonly clock: Clock
  readonly rules: Omit<ShadowRules, 'bakeMs' | 'differences'>
  /** The name of the rules in the manifest, for messages. */
  readonly setting: 'rollout.shadow' | 'rollout.canary'
  /** Memory for it. */
  readonly memory: Room
  readonly findings: Findings
  /** Makes its isolate, without state. @param seed Of the working isolate's random numbers. */
  readonly make: (seed: Uint8Array) => Promise<Mirror>
  /** The output streams of the working version, in the order of its manifest. */
  readonly outputs: () => readonly OutputConfig[]
  /** CPU time of the process so far. */
  readonly processMs: () => number
  /** Called once, when it has ended by itself. */
  readonly onEnded: (why: string) => void
}

type Work =
  | { readonly kind: 'state'; readonly mirror: Mirror; readonly state: StateCopy }
  | { readonly kind: 'call'; readonly mirror: Mirror; readonly call: Call; readonly bytes: number }

export class Shadow implements Audience {
  readonly #options: ShadowOptions
  readonly #cpu: CpuBudget
  /** Time that its calls and its copies of state took. */
  readonly #worked = { cpuSeconds: 0 }
  #state: 'making' | 'ready' | 'working' | 'behind' | 'ended' = 'making'
  /** Why calls are missed now. */
  #missing: keyof ShadowEvidence['missed'] = 'notReady'
  #mirror: Mirror | undefined
  #live: SingleIsolate
  /** The isolate whose seed it has. */
  #madeFor: SingleIsolate | undefined
  readonly #queue: Work[] = []
  #queueBytes = 0
  #isAtWork = false
  #copyAgainMs = Number.NEGATIVE_INFINITY
  /** The least pause before it begins again, and when it last fell behind. */
  #againMs = againMinMs
  #behindMs = Number.NEGATIVE_INFINITY
  /** The last copy of the state, for its memory: shared memory that only garbage refers to is not collected for long. */
  #copied: StateCopy = new Map()

  constructor(live: SingleIsolate, options: ShadowOptions) {
    this.#live = live
    this.#options = options
    const { clock, rules, processMs } = options
    this.#cpu = new CpuBudget({
      ...{ clock, processMs, warn: () => undefined },
      msPerSecond: () => rules.workMsPerSecond,
    })
  }

  /** Makes the isolate; it gets a copy of the state before the next call. @throws Why it cannot be made. */
  async begin(): Promise<void> {
    const { make, memory } = this.#options
    const live = this.#live
    this.#checkMemory(0)
    const mirror = await make(live.chance.seed)
    if (this.#state !== 'making') return mirror.end()
    this.#mirror = mirror
    this.#madeFor = live
    this.#state = 'ready'
    const lack = memory.lacks(0)
    if (lack !== undefined) this.#end(withShadow(lack))
  }

  /** Ends it without a call of `onEnded`. */
  end(): void {
    this.#state = 'ended'
    this.#mirror?.end()
    this.#drop()
  }

  onCall(live: SingleIsolate, partitions: readonly number[] | undefined): boolean {
    this.#live = live
    if (this.#state === 'ready' && live !== this.#madeFor) this.#fallBehind('notReady') // it would draw other random numbers
    if (this.#state === 'ready') this.#copyState(live.state, partitions)
    if (this.#state === 'working' && this.#queueBytes > this.#options.rules.queueMib * 2 ** 20)
      this.#fallBehind('behind')
    return this.#state === 'working'
  }

  take(call: Call): void {
    if (this.#state !== 'working') {
      this.pass(doneIn(call))
      return giveBack(call.frames, call.log)
    }
    this.#put({ kind: 'call', mirror: this.#mirror!, call, bytes: bytesHeld(call.frames, call.log) })
  }

  pass(records: number): void {
    const { findings } = this.#options
    findings.given(records)
    findings.missed(this.#state === 'ended' ? 'ended' : this.#missing, records)
  }

  onMoved(): void {
    if (this.#state === 'working') this.#fallBehind('notReady')
  }

  #fallBehind(missing: 'behind' | 'notReady'): void {
    this.#state = 'behind'
    this.#missing = missing
    if (missing === 'behind') {
      this.#againMs = Math.min(againMaxMs, 2 * this.#againMs)
      this.#behindMs = this.#options.clock.monotonicMs()
      this.#copyAgainMs = Math.max(this.#copyAgainMs, this.#behindMs + this.#againMs / 2)
    }
    this.#go()
  }

  /** SH2. */
  #copyState(store: StateStore, partitions: readonly number[] | undefined): void {
    const { clock, rules, setting } = this.#options
    const { stateMib } = rules
    const mib = store.heldBytes / 2 ** 20
    if (mib > stateMib)
      return this.#end(
        `the instance holds ${Math.ceil(mib)} MiB of state, and of ${stateMib} at most a copy is made: set ${setting}.stateMib, and the instance waits while it is copied`,
      )
    try {
      this.#checkMemory(store.heldBytes)
    } catch (error) {
      return this.#end((error as Error).message)
    }
    const startMs = clock.monotonicMs()
    const state = copyOf(store, partitions, this.#copied)
    this.#copied = state
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#behindMs > againMaxMs) this.#againMs = againMinMs
    this.#copyAgainMs = nowMs + Math.max(this.#againMs, copyShare * (nowMs - startMs))
    this.#state = 'working'
    this.#put({ kind: 'state', mirror: this.#mirror!, state })
  }

  #put(work: Work): void {
    this.#queue.push(work)
    if (work.kind === 'call') this.#queueBytes += work.bytes
    this.#go()
  }

  #go(): void {
    if (this.#isAtWork) return
    this.#isAtWork = true
    void this.#work()
  }

  async #work(): Promise<void> {
    for (;;) {
      await this.#rest()
      const work = this.#queue.shift()
      if (work !== undefined) await this.#do(work)
      else if (this.#state === 'behind') await this.#again()
      else break
    }
    this.#isAtWork = false
  }

  async #do(work: Work): Promise<void> {
    const { outputs, findings, clock } = this.#options
    const before = findings.compared
    const records = work.kind === 'call' ? doneIn(work.call) : 0
    const startMs = clock.monotonicMs()
    try {
      if (work.kind === 'state') await work.mirror.adopt(work.state)
      else {
        this.#queueBytes -= work.bytes
        await work.mirror.play(work.call, outputs())
      }
      this.#checkMemory(0)
    } catch (error) {
      this.#end((error as Error).message)
    }
    this.#worked.cpuSeconds += (clock.monotonicMs() - startMs) / 1000
    this.#cpu.spend(this.#worked, undefined)
    findings.given(records)
    const missed = records - (findings.compared - before)
    if (missed > 0) findings.missed('ended', missed)
    if (work.kind === 'call') giveBack(work.call.frames, work.call.log)
  }

  /** Begins anew once the queue is empty, with a new isolate and a new copy of the state. */
  async #again(): Promise<void> {
    const { clock } = this.#options
    const before = this.#mirror
    this.#mirror = undefined
    this.#state = 'making'
    before?.end()
    if ((await before?.ended()) !== true) this.#copied = new Map()
    await this.#wait(this.#copyAgainMs - clock.monotonicMs())
    if (this.#state !== 'making') return
    try {
      await this.begin()
    } catch (error) {
      this.#end((error as Error).message)
    }
  }

  /** Waits until it may use CPU time again. */
  async #rest(): Promise<void> {
    if (!this.#cpu.isReady) await this.#wait(this.#cpu.readyMs - this.#options.clock.monotonicMs())
  }

  async #wait(ms: number): Promise<void> {
    if (ms > 0) await sleep(this.#options.clock, ms)
  }

  #end(why: string): void {
    if (this.#state === 'ended') return
    this.end()
    this.#options.onEnded(why)
  }

  /** Counts what is in the queue as missed. */
  #drop(): void {
    const { findings } = this.#options
    for (const work of this.#queue.splice(0)) {
      if (work.kind !== 'call') continue
      findings.given(doneIn(work.call))
      findings.missed('ended', doneIn(work.call))
      giveBack(work.call.frames, work.call.log)
    }
    this.#queueBytes = 0
  }

  #checkMemory(more: number): void {
    const lack = this.#options.memory.lacks(more)
    if (lack !== undefined) throw new Error(withShadow(lack))
  }
}

function withShadow(lack: string): string {
  return `there is no memory for a shadow: ${lack}`
}

/** The records of a call without those that were put off, which come again in another call. */
function doneIn({ putOff, records, elsewhere = 0 }: Call): number {
  return records - elsewhere - putOff.length
}

/** @param before A copy whose memory is not used any more. */
function copyOf(store: StateStore, partitions: readonly number[] | undefined, before: StateCopy): StateCopy {
  const spare = [...before.values()].flat()
  const copies = new Map<number, readonly SharedArrayBuffer[]>()
  for (const partition of store.partitions()) {
    if (partitions?.includes(partition) === false) continue
    copies.set(
      partition,
      store.slabsOf(partition).map((slab) => copyInto(spare, slab)),
    )
  }
  return copies
}

function copyInto(spare: SharedArrayBuffer[], slab: SharedArrayBuffer): SharedArrayBuffer {
  const found = spare.findIndex(({ byteLength }) => byteLength === slab.byteLength)
  if (found < 0) return slab.slice(0)
  const [copy] = spare.splice(found, 1) as [SharedArrayBuffer]
  new Uint8Array(copy).set(new Uint8Array(slab))
  return copy
}
