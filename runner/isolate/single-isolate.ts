/**
 * SingleIsolate: one isolate that runs one version of a function, and the only access to it.
 *
 *   N1. One call at a time; a batch is one call (I1).
 *   N2. `records` of a result counts finished records, in the given order. The result has all of their outputs, even
 *       if the isolate ended in the next record (layout.ts, LY1).
 *   N3. After a `fatal` result nothing runs any more. The isolate's thread may not be stoppable (uninterruptible
 *       built-ins), so on any `fatal` the caller must end the process.
 *   N4. `run` waits only for what it needs, and outputs become frames on request: the next batch may be running by
 *       then.
 * Design: docs/design/0004-batch-path.md
 * @module
 */
import { type Clock, systemClock } from '../../infra/clock.ts'
import type { StateFormat } from '../../sdk/function.ts'
import type { TapFile } from '../../sdk/replay/index.ts'
import { firstFormat } from '../../sdk/runtime/index.ts'
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
import type { BatchResult, InputFrame, IsolateOptions, IsolateStats, Outputs, RunOptions } from './types.ts'

export class SingleIsolate {
  /** The instance that has the state (isolate.ts). */
  readonly holder: SingleIsolate = this
  readonly #options: IsolateOptions
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

  private constructor(options: IsolateOptions) {
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
    })
    this.#held = new HeldState(state, {
      ...{ name: this.#name, istreams },
      regions: this.#regions,
      guest: this.#guest,
      format: options.format ?? { own: firstFormat, kept: firstFormat },
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
   * @param stop Ends it meanwhile, also within `init`.
   * @throws {CodedError} ERR_BUNDLE_LOAD, ERR_INIT_FAILED, ERR_DEADLINE, ERR_MEMORY or ERR_ISOLATE_LOST; why it was stopped
   */
  static async create(options: IsolateOptions, stop?: AbortSignal): Promise<SingleIsolate> {
    stop?.throwIfAborted()
    const instance = new SingleIsolate(options)
    const kill = (): void => instance.kill()
    stop?.addEventListener('abort', kill)
    try {
      const boot = bootConfigOf(options, instance.#inputs)
      await instance.#guest.boot(boot, options.seed, instance.#held.store.all())
      await instance.#guest.load(options.bundle, options.manifest.limits.initMs)
      await instance.#lifecycle('init', options.nowMs)
      if (options.compact === true) await instance.#guest.collect('collecting what its start has left over')
      instance.#caller.onTrial = options.onTrial === true // errors of `init` are failures in any case
      return instance
    } catch (error) {
      instance.kill()
      await instance.ended()
      throw error
    } finally {
      stop?.removeEventListener('abort', kill)
      instance.#caller.passOnConsole()
    }
  }

  /** When the next batch is needed for a timer; at once if given-away partitions have to be forgotten. */
  get nextTimerMs(): number | undefined {
    return this.#guest.ended ? undefined : this.#partitionsKept ? 0 : this.#regions.nextTimerMs
  }

  /** Processes due timers, then as many of the frames as fit. */
  async run(frames: readonly InputFrame[], nowMs: number, how: RunOptions = {}): Promise<BatchResult> {
    const { lines, share, batch = this.#batch + 1, isOne = false, timers } = how
    this.#checkIdle('run a batch', false)
    this.#batch = batch
    if ((this.#partitionsKept ?? this.#outputsWanted) !== undefined) await this.#applyOutputs()
    const provided = this.#held.provide(frames)
    if (provided !== undefined) await provided
    if (this.#guest.ended !== undefined) return this.#caller.result(this.#guest.ended)
    this.#caller.begin(frames)
    const regions = this.#regions
    if (isOne) regions.askToYield()
    if (timers !== undefined) regions.setTimersMost(timers)
    const size = regions.writeBatch(frames, ({ stream }) => this.#inputs.indexOf(stream))
    const text = regions.textWanted && size.frames > 0 ? regions.inputText(size.bytes) : undefined
    const waiting = lines && JSON.stringify(lines)
    const own = share && JSON.stringify(share)
    const args = [size.frames, size.bytes, nowMs, text, waiting, batch, own]
    const result = await this.#caller.call('run', args)
    const takenBack = this.#held.takeBack()
    if (takenBack !== undefined) await takenBack
    return result
  }

  /** Between two batches: access to single timers. */
  async atTimers(): Promise<TimerCalls> {
    await this.#applyOutputs()
    const order = (entry: Entry, args: readonly unknown[]): Promise<BatchResult> => {
      this.#caller.begin([])
      return this.#caller.call(entry, args, undefined, true)
    }
    const run = (nowMs: number) => this.run([], nowMs, { isOne: true })
    return new TimerCalls({ regions: this.#regions, order, provide: () => this.#held.provide([]), run })
  }

  /** Waits until a pending batch can continue. @returns What it then brought. */
  async resume(): Promise<BatchResult> {
    this.#checkIdle('resume a batch', true)
    for (;;) {
      const result = await this.#caller.wake()
      if (result.pending && result.records + result.timersFired === 0) continue
      await this.#held.takeBack()
      return result
    }
  }

  /**
   * Keeps only these partitions: from the next batch on, state and timers of others are forgotten; until then no
   * timer is due.
   */
  keepPartitions(partitions: readonly number[]): void {
    this.#partitionsKept = partitions
  }

  /** The memory of its state; consistent between two calls. */
  get state(): StateStore {
    return this.#held.store
  }

  /**
   * Between two batches: the memory into which pages are copied during a checkpoint, as large as the state is now.
   * Not during a checkpoint.
   */
  provideShadow(): Promise<SharedArrayBuffer> {
    return this.#held.provideShadow()
  }

  /** See `HeldState`. */
  shadowBytesAhead(pages: number): number {
    return this.#held.shadowBytesAhead(pages)
  }

  /** Between two batches: collects its garbage, when memory is short. */
  async collect(): Promise<void> {
    if (this.#guest.ended === undefined) await this.#guest.collect('collecting garbage')
  }

  /** Between two batches: takes over state and timers, if there are any, of a partition that it does not have. */
  async adopt(partition: number, slabs: readonly SharedArrayBuffer[]): Promise<void> {
    this.#checkIdle('take over state', false)
    await this.#applyOutputs() // it may have had this partition earlier
    if (slabs.length > 0) await this.#held.adopt(partition, slabs)
  }

  /** Runs frames and discards their outcome and state, so that code and runtime are compiled. */
  async rehearse(run: () => Promise<void>): Promise<void> {
    this.#caller.isMuted = true
    await run()
    this.#caller.isMuted = false
    if (this.#guest.ended !== undefined) throw this.#guest.ended
    this.keepPartitions([])
    await this.#applyOutputs()
  }

  /** Sets an observer of the outcome log. Each piece is read and checked, and valid until the observer returns. */
  watch(onLog: ((log: Uint8Array<ArrayBuffer>) => void) | undefined): void {
    this.#caller.onLog = onLog
  }

  /** The source of all its random numbers: the seed, and the number of the batch. */
  get chance(): { readonly seed: Uint8Array; readonly batch: number } {
    return { seed: this.#options.seed, batch: this.#batch }
  }

  /** The name of one of its metrics. */
  metricName(id: number): string | undefined {
    return this.#metrics.nameOf(id)?.name
  }

  /** Before `takeOver`, while the other instance works: hands in as much memory as possible. */
  async expect(from: SingleIsolate): Promise<void> {
    await this.#held.expect(from.#held)
  }

  /**
   * Between two batches of another isolate of the function, or after its end: takes its state and timers over in
   * place, with a checkpoint under way. The other one, if it lives, may take them back in the same way.
   * @throws {CodedError} Why this one has ended; ERR_ISOLATE_LOST if the state is lost for both.
   */
  async takeOver(from: SingleIsolate): Promise<void> {
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
    this.#partitionsKept = from.#partitionsKept // it has ended before it could forget the others
    if (this.#guest.ended !== undefined) throw this.#guest.ended
    this.#regions.clear()
  }

  /** Between two batches: ends the trial. From now on the policy handles its failures. @returns Why it has ended, if it has. */
  async endTrial(): Promise<Error | undefined> {
    this.#caller.onTrial = false
    this.#tap?.change({ onTrial: false })
    await this.#caller.give((limits) => this.#guest.call('endTrial', [], limits))
    return this.#guest.ended
  }

  /** See `HeldState.settleFormat`. */
  settleFormat(kept?: number): Promise<void> {
    this.#tap?.call('settleFormat', [])
    return this.#held.settleFormat(kept)
  }

  /** In which format its state is, and which one stays readable. */
  get format(): StateFormat {
    return this.#held.format
  }

  get isEnded(): boolean {
    return this.#guest.ended !== undefined
  }

  /** The commit word with which an adopted arena is opened. */
  get commitWord(): number {
    return this.#regions.commitWord
  }

  /** Asks the current batch to end after the current callback. */
  askToYield(): void {
    this.#regions.askToYield()
  }

  /** Sets the output streams from the next batch on. */
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

  /** Ends the isolate at once; a call under way gets a fatal result. */
  kill(): void {
    this.#guest.end(isolateError('ERR_INSTANCE_STATE', `Cannot go on with ${this.#name}: it has been ended`))
  }

  /**
   * After the end: waits for the end of the isolate's thread, and frees the state for the next instance.
   * @returns Whether the state may be used again (state-store.ts, SS1).
   */
  ended(): Promise<boolean> {
    return this.#held.ended()
  }

  /** Its recent inputs (tap.ts), and the code that it runs. */
  tapped(): Tapped & Required<Pick<TapFile, 'bundle'>> {
    return { ...(this.#tap?.read() ?? { chapters: [] }), bundle: this.#options.bundle }
  }

  /** Its CPU time since its creation, including waits for a CPU. */
  get cpuSeconds(): number {
    return this.#guest.cpuSeconds()
  }

  stats(): IsolateStats {
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
    this.#tap?.change({ outputs: table })
  }
}
