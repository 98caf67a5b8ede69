/**
 * Instance: one isolate that runs one version of a function, and the only way into it.
 *
 *   N1. One call at a time; a batch is one call (I1).
 *   N2. `records` of a result counts records that are done, in the order given; what they produced is in the result,
 *       whole, even if the isolate ended in the next one (layout.ts, L1).
 *   N3. After a `fatal` result nothing runs any more. If even the end of the isolate's thread cannot be had
 *       (uninterruptible built-ins), the process must end: the caller does that on any `fatal`.
 *   N4. `run` waits for nothing that it does not need, and outputs become frames when asked for: the next batch may run by then.
 * Design: docs/design/0004-batch-path.md
 * @module
 */
import { type Clock, systemClock } from '../../infra/clock.ts'
import type { StateFormat } from '../../sdk/function.ts'
import type { TapFile } from '../../sdk/replay/index.ts'
import { firstFormat } from '../../sdk/runtime/index.ts'
import type { KeyShare } from '../../sdk/wire/key-share.ts'
import { MetricSums } from '../../sdk/wire/user-metrics.ts'
import { Caller } from './caller.ts'
import { TimerCalls } from './calls/timer-calls.ts'
import { isolateError } from './errors.ts'
import { bootConfigOf } from './guest/boot-config.ts'
import { type Entry, Guest } from './guest/guest.ts'
import { Regions } from './memory/regions.ts'
import { OutcomeTail } from './outcome/outcome-tail.ts'
import { outputTable } from './outcome/output-table.ts'
import { UserMetrics } from './outcome/user-metrics.ts'
import { StackMap } from './report/stack-map.ts'
import { HeldState } from './state/held-state.ts'
import { StateStore } from './state/state-store.ts'
import { type Tap, type Tapped, tapOf } from './tap/tap.ts'
import type { BatchResult, InputFrame, InstanceOptions, InstanceStats, Outputs } from './types.ts'

export class Instance {
  /** Who has the state (isolate.ts). */
  readonly holder: Instance = this
  readonly #options: InstanceOptions
  readonly #clock: Clock
  readonly #name: string
  readonly #inputs: readonly string[]
  readonly #regions: Regions
  readonly #guest: Guest
  readonly #metrics: UserMetrics
  readonly #held: HeldState
  readonly #outcome: OutcomeTail
  readonly #caller: Caller
  #outputsWanted: Outputs | undefined
  #partitionsKept: readonly number[] | undefined
  readonly #tap: Tap | undefined
  #batch = 0
  #heapBytes = 0

  private constructor(options: InstanceOptions) {
    const { limits, istreams } = options.manifest
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#name = `'${options.function}' v${options.version}`
    this.#inputs = Object.keys(istreams)
    const stackMap = new StackMap(options.sourceMap)
    this.#regions = new Regions(limits.outputBytesPerRecord)
    this.#metrics = new UserMetrics(options.metrics ?? new MetricSums(), this.#regions.metricNames)
    const state = options.state ?? new StateStore(limits.stateMib * 2 ** 20)
    state.lend()
    this.#regions.setCommitWord(state.commitWord)
    const table = outputTable(options.manifest, options.outputs)
    this.#outcome = new OutcomeTail(this.#name, this.#regions, table)
    this.#guest = new Guest({
      ...{ name: this.#name, heapMib: limits.heapMib, stateMib: limits.stateMib },
      regions: this.#regions,
      assets: options.assets ?? new Map(),
      clock: this.#clock,
      stackMap,
      stateBytes: () => this.#held.bytes,
      compact: options.compact === true,
    })
    this.#held = new HeldState(state, {
      ...{ name: this.#name, istreams },
      regions: this.#regions,
      guest: this.#guest,
      kept: options.format?.kept ?? firstFormat,
      give: (call) => this.#caller.give(call),
    })
    this.#tap = tapOf(options, this.#inputs, this.#regions, () => this.#held.store)
    this.#caller = new Caller({
      ...{ of: options, name: this.#name, clock: this.#clock, stackMap },
      ...{ regions: this.#regions, guest: this.#guest, held: this.#held, tap: this.#tap },
      ...{ outcome: this.#outcome, metrics: this.#metrics },
    })
  }

  /**
   * Makes the isolate, loads the bundle and runs `init`.
   * @throws {CodedError} ERR_BUNDLE_LOAD, ERR_INIT_FAILED, ERR_DEADLINE, ERR_MEMORY or ERR_ISOLATE_LOST
   */
  static async create(options: InstanceOptions): Promise<Instance> {
    const instance = new Instance(options)
    try {
      const boot = bootConfigOf(options, instance.#inputs)
      await instance.#guest.boot(boot, options.seed, instance.#held.store.all())
      await instance.#guest.load(options.bundle, options.manifest.limits.initMs)
      await instance.#lifecycle('init', options.nowMs)
      await instance.#guest.compact()
      instance.#caller.onTrial = options.onTrial === true // what `init` throws is a failure in any case
      return instance
    } catch (error) {
      instance.kill()
      await instance.ended()
      throw error
    } finally {
      instance.#caller.passOnConsole()
    }
  }

  /** When a batch is wanted for the sake of a timer; at once where something that was given away is to be forgotten. */
  get nextTimerMs(): number | undefined {
    return this.#guest.ended ? undefined : this.#partitionsKept ? 0 : this.#regions.nextTimerMs
  }

  /**
   * Processes timers that are due, then the frames, as many as fit.
   * @param lines What waits for records that were set aside, where order is kept (sdk/runtime/records/aside.ts).
   * @param share Whose keys are its own; the others count as done.
   * @param batch Which one it is, for chance; that of the call before: it goes on with that one's. Default: the next.
   * @param isOne It ends behind the first callback.
   */
  async run(
    frames: readonly InputFrame[],
    nowMs: number,
    lines?: readonly string[],
    share?: KeyShare,
    batch = this.#batch + 1,
    isOne = false,
  ): Promise<BatchResult> {
    this.#checkIdle('run a batch', false)
    this.#batch = batch
    if ((this.#partitionsKept ?? this.#outputsWanted) !== undefined) await this.#applyOutputs()
    const provided = this.#held.provide(frames)
    if (provided !== undefined) await provided
    if (this.#guest.ended !== undefined) return this.#caller.result(this.#guest.ended)
    this.#caller.begin(frames)
    const regions = this.#regions
    if (isOne) regions.askToYield()
    const size = regions.writeBatch(frames, ({ stream }) => this.#inputs.indexOf(stream))
    const text = regions.textWanted && size.frames > 0 ? regions.inputText(size.bytes) : undefined
    const waiting = lines && JSON.stringify(lines)
    const own = share && JSON.stringify(share)
    return await this.#caller.call('run', [size.frames, size.bytes, nowMs, text, waiting, batch, own])
  }

  /** Between two batches: what is done with single timers. */
  async atTimers(): Promise<TimerCalls> {
    await this.#applyOutputs()
    const order = (entry: Entry, args: readonly unknown[]): Promise<BatchResult> => {
      this.#caller.begin([])
      return this.#caller.call(entry, args, undefined, true)
    }
    const run = (nowMs: number) => this.run([], nowMs, undefined, undefined, undefined, true)
    return new TimerCalls({ regions: this.#regions, order, provide: () => this.#held.provide([]), run })
  }

  /** Waits until a pending batch got on, and answers what that brought. */
  async resume(): Promise<BatchResult> {
    this.#checkIdle('resume a batch', true)
    for (;;) {
      const result = await this.#caller.wake()
      if (!result.pending || result.records > 0 || result.timersFired > 0) return result
    }
  }

  /** From the next batch on the state and timers of other partitions are forgotten; until then no timer is due. */
  keepPartitions(partitions: readonly number[]): void {
    this.#partitionsKept = partitions
  }

  /** The memory of its state; whole between two calls. */
  get state(): StateStore {
    return this.#held.store
  }

  /**
   * Between two batches: what pages are kept in while a checkpoint is made, as large as the state is now. Not while one is
   * made.
   */
  provideShadow(): Promise<SharedArrayBuffer> {
    return this.#held.provideShadow()
  }

  /** Between two batches: takes over state and timers of a partition that it has not. */
  async adopt(partition: number, slabs: readonly SharedArrayBuffer[]): Promise<void> {
    this.#checkIdle('take over state', false)
    await this.#applyOutputs() // it may have had the partition before
    await this.#held.adopt(partition, slabs)
  }

  /** Runs frames whose outcome nobody sees, so that code and runtime are compiled; forgets the state that comes of it. */
  async rehearse(run: () => Promise<void>): Promise<void> {
    this.#caller.isMuted = true
    await run()
    this.#caller.isMuted = false
    if (this.#guest.ended !== undefined) throw this.#guest.ended
    this.keepPartitions([])
    await this.#applyOutputs()
  }

  /** Hears of each piece of an outcome log, read and checked, good until it returns; undefined: nobody does. */
  watch(onLog: ((log: Uint8Array<ArrayBuffer>) => void) | undefined): void {
    this.#caller.onLog = onLog
  }

  /** All that chance is made of: this, and which batch it is. */
  get chance(): { readonly seed: Uint8Array; readonly batch: number } {
    return { seed: this.#options.seed, batch: this.#batch }
  }

  /** What it has called a metric. */
  metricName(id: number): string | undefined {
    return this.#metrics.nameOf(id)?.name
  }

  /** Ahead of `takeOver`, while the other one works: is handed in what it can be. */
  async expect(from: Instance): Promise<void> {
    await this.#held.expect(from.#held)
  }

  /**
   * Between two batches of another isolate of the function, or after its end: takes its state and timers over, as they lie,
   * with a checkpoint under way. The other one, if it lives, may take them back in the same way.
   * @throws {CodedError} Why this one has ended over it; ERR_ISOLATE_LOST if nobody can have the state any more.
   */
  async takeOver(from: Instance): Promise<void> {
    this.#checkIdle('take over state', false)
    if (from.#guest.ended === undefined) {
      from.#checkIdle('let go of its state', false)
      await from.#applyOutputs()
      await from.#held.letGo()
    }
    if (from.#guest.ended !== undefined && !(await from.ended())) {
      const why = `Cannot take over the state of ${this.#name}: its isolate may be at work`
      throw isolateError('ERR_ISOLATE_LOST', why)
    }
    this.#caller.begin([])
    this.#tap?.call('takeOver', [])
    await this.#held.takeOver(from.#held)
    if (this.#guest.ended !== undefined) throw this.#guest.ended
    this.#regions.clear()
  }

  /** Between two batches: it has proved itself; from now on its failures are what the policy makes of them. */
  async endTrial(): Promise<void> {
    this.#caller.onTrial = false
    await this.#caller.give((limits) => this.#guest.call('endTrial', [], limits))
  }

  /** See `HeldState.settleFormat`. */
  settleFormat(kept?: number): Promise<void> {
    this.#tap?.call('settleFormat', [])
    return this.#held.settleFormat(kept)
  }

  /** In which format its state is, and which one stays readable. */
  get format(): StateFormat {
    return { own: this.#options.format?.own ?? firstFormat, kept: this.#held.kept }
  }

  get isEnded(): boolean {
    return this.#guest.ended !== undefined
  }

  /** What an arena that is adopted now is opened with. */
  get commitWord(): number {
    return this.#regions.commitWord
  }

  /** Asks a batch under way to end after the callback at hand. */
  askToYield(): void {
    this.#regions.askToYield()
  }

  /** What the streams are from the next batch on. */
  setOutputs(outputs: Outputs): void {
    this.#outputsWanted = outputs
  }

  /**
   * Runs `destroy` and ends the isolate.
   * @throws {CodedError} ERR_DESTROY_FAILED, ERR_DEADLINE or ERR_MEMORY; the isolate is ended all the same.
   */
  async destroy(): Promise<void> {
    if (this.#guest.ended !== undefined) return
    this.#caller.onTrial = false
    try {
      if (!this.#guest.busy && !this.#regions.pending) await this.#lifecycle('destroy', this.#clock.nowMs())
    } finally {
      this.#caller.passOnConsole()
      this.kill()
      await this.ended()
    }
  }

  /** Ends the isolate at once; a call under way answers with a fatal result. */
  kill(): void {
    this.#guest.end(isolateError('ERR_INSTANCE_STATE', `Cannot go on with ${this.#name}: it has been ended`))
  }

  /**
   * After the end: waits for that of the isolate's thread, and frees the state for the next instance.
   * @returns Whether the state may be used again (state-store.ts, SS1).
   */
  ended(): Promise<boolean> {
    return this.#held.ended()
  }

  /** What it was last given (tap.ts), and what it runs. */
  tapped(): Tapped & Required<Pick<TapFile, 'bundle'>> {
    return { ...(this.#tap?.read() ?? { chapters: [] }), bundle: this.#options.bundle }
  }

  /** Its CPU time since its making, with what its thread waited for a CPU. */
  get cpuSeconds(): number {
    return this.#guest.cpuSeconds()
  }

  stats(): InstanceStats {
    if (!this.#guest.busy && !this.isEnded) this.#heapBytes = this.#guest.heapBytes()
    return { heapBytes: this.#heapBytes, cpuSeconds: this.cpuSeconds, ...this.#regions.stateTotals }
  }

  #checkIdle(attempted: string, whilePending: boolean): void {
    if (this.#guest.ended !== undefined) throw this.#guest.ended
    if (this.#guest.busy) throw isolateError('ERR_INSTANCE_STATE', `Cannot ${attempted}: a call is under way`)
    if (this.#regions.pending === whilePending) return
    const found = whilePending ? 'no callback is pending' : 'a callback is pending, resume first'
    throw isolateError('ERR_INSTANCE_STATE', `Cannot ${attempted}: ${found}`)
  }

  async #lifecycle(callback: 'init' | 'destroy', nowMs: number): Promise<void> {
    const { initMs } = this.#options.manifest.limits
    this.#caller.begin([])
    const endMs = this.#clock.monotonicMs() + initMs
    let result = await this.#caller.call('lifecycle', [callback, nowMs], initMs)
    while (result.pending) result = await this.#caller.wake(initMs, endMs)
    const { fatal } = result
    if (fatal === undefined) return
    if (fatal.code !== 'ERR_FUNCTION_FAILED') throw fatal
    const code = callback === 'init' ? 'ERR_INIT_FAILED' : 'ERR_DESTROY_FAILED'
    throw isolateError(code, fatal.message.replace('processing', callback), fatal.detail)
  }

  async #applyOutputs(): Promise<void> {
    if (this.#partitionsKept !== undefined) {
      await this.#caller.call('keepPartitions', [JSON.stringify(this.#partitionsKept)], undefined, true)
      this.#held.keep(this.#partitionsKept)
      this.#partitionsKept = undefined
    }
    if (this.#outputsWanted === undefined) return
    const table = outputTable(this.#options.manifest, this.#outputsWanted)
    this.#outputsWanted = undefined
    const told = this.#outcome.rewire(table)
    if (told === undefined) return
    await this.#caller.call('setOutputs', [told])
    this.#tap?.rewire(table)
  }
}
