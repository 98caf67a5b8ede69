/**
 * Instance: one isolate that runs one version of a function, and the only way into it.
 *
 *   N1. One call at a time; a batch is one call (I1).
 *   N2. `records` of a result counts records that are done, in the order given; what they produced is in the result,
 *       whole, even if the isolate ended in the next one (layout.ts, L1).
 *   N3. After a `fatal` result nothing runs any more. If even the end of the isolate's thread cannot be had
 *       (uninterruptible built-ins), the process must end: the caller does that on any `fatal`.
 *   N4. Nothing of the host is handed in but text, numbers and shared memory: no function, no object of isolated-vm.
 * Design: docs/design/0004-batch-path.md
 * @module
 */
import ivm from 'isolated-vm'
import { type Clock, systemClock } from '../../infra/clock.ts'
import type { ErrorReport } from '../../infra/control/messages.ts'
import type { CodedError } from '../../sdk/errors.ts'
import type { FrameHeader } from '../../sdk/frame.ts'
import type { Manifest } from '../../sdk/manifest.ts'
import {
  type BootConfig,
  emptyOutcome,
  type LogLevel,
  type Outcome,
  OutcomeReader,
  type OutcomeReport,
  type OutputConfig,
  type OutputFrame,
  phase,
} from '../../sdk/runtime/index.ts'
import type { IsolateErrorCode } from './errors.ts'
import { type CallFailure, failureOf, IsolateCalls, isolateError } from './isolate-call.ts'
import { Regions } from './regions.ts'
import { parseReport } from './report.ts'
import { runtimeBundle, runtimeFilename } from './runtime-bundle.ts'
import { bundleFilename, placeOf, StackMap, spell } from './stack-map.ts'

/** After this long a batch is asked to end, so that a slow function's outputs leave and its limit counts anew. */
const sliceMs = 50
/** Making an isolate and loading the runtime takes some milliseconds; this is for a machine that is busy. */
const bootMs = 10_000

export interface InputFrame {
  readonly stream: string
  readonly partition: number
  /** The whole frame, accepted by `parseFrame`. */
  readonly bytes: Uint8Array
  readonly header: FrameHeader
  /** Records at its start that are not to be processed (again). */
  readonly skip: number
}

export type Outputs = Readonly<Record<string, { readonly partitions: number; readonly keyed: boolean }>>

export interface InstanceOptions {
  readonly function: string
  readonly version: number
  readonly instance: number
  readonly manifest: Manifest
  /** One self-contained ES module; its default export is the function. */
  readonly bundle: string
  readonly sourceMap?: string
  readonly outputs: Outputs
  /** 32 random bytes: all randomness of the function comes of them (I6). */
  readonly seed: Uint8Array
  readonly nowMs: number
  readonly log: (level: LogLevel, message: string) => void
  readonly clock?: Clock
}

/** A callback that threw for good. */
export interface RecordFailure {
  /** Which of the records of this result's batch it was, from 0, those skipped not counted; infinite for a timer. */
  readonly index: number
  readonly error: ErrorReport
  readonly action: 'skip' | 'deadLetter' | 'fail'
  /** Calls, the last one included. */
  readonly attempts: number
}

export interface BatchResult {
  /** Records done: processed, skipped or dead-lettered. The rest is to be given again. */
  readonly records: number
  /** Bodies behind 48 bytes of space for a header. */
  readonly outputs: readonly OutputFrame[]
  readonly failures: readonly RecordFailure[]
  readonly timersFired: number
  readonly recordsOut: number
  /** A callback waits: `resume()` answers what follows. `run` is not to be called before it has. */
  readonly pending: boolean
  readonly fatal?: CodedError<IsolateErrorCode>
  /** With `fatal`: the first record that is not done was being processed, and has most likely caused it. */
  readonly recordAtHand?: boolean
}

export interface InstanceStats {
  readonly heapBytes: number
  readonly cpuSeconds: number
  readonly stateEntries: number
  readonly stateBytes: number
  readonly timers: number
}

type Entry = 'boot' | 'define' | 'lifecycle' | 'run' | 'wake' | 'setOutputs'

export class Instance {
  readonly #options: InstanceOptions
  readonly #clock: Clock
  readonly #regions: Regions
  readonly #isolate: ivm.Isolate
  readonly #calls: IsolateCalls
  readonly #stackMap: StackMap
  readonly #inputs: readonly string[]
  readonly #entries = new Map<Entry, ivm.Reference>()
  #reader: OutcomeReader
  #outputsWanted: Outputs | undefined
  /** How far the outcome of the batch at hand was read. */
  #readTo = 0
  /** Frames of the batch at hand, and how many of their records are done. */
  #frames: readonly InputFrame[] = []
  #recordsDone = 0
  #waitingFor = 0
  #waitingSinceMs = 0
  #heapBytes = 0
  #ended: CodedError<IsolateErrorCode> | undefined

  private constructor(options: InstanceOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#calls = new IsolateCalls(this.#clock)
    this.#stackMap = new StackMap(options.sourceMap)
    this.#inputs = Object.keys(options.manifest.istreams)
    this.#reader = new OutcomeReader(outputTable(options.manifest, options.outputs))
    const { heapMib, outputBytesPerRecord } = options.manifest.limits
    this.#regions = new Regions(outputBytesPerRecord)
    this.#isolate = new ivm.Isolate({
      memoryLimit: heapMib + Math.ceil(this.#regions.bytes / 2 ** 20),
      onCatastrophicError: (message) => this.#lose(message),
    })
  }

  /**
   * Makes the isolate, loads the bundle and runs `init`.
   * @throws {CodedError} ERR_BUNDLE_LOAD, ERR_INIT_FAILED, ERR_DEADLINE, ERR_MEMORY or ERR_ISOLATE_LOST
   */
  static async create(options: InstanceOptions): Promise<Instance> {
    const instance = new Instance(options)
    try {
      const context = await instance.#boot()
      await instance.#load(context)
      await instance.#lifecycle('init', options.nowMs)
      return instance
    } catch (error) {
      instance.kill()
      throw error
    } finally {
      instance.#passOnConsole()
    }
  }

  /** When a batch is wanted for the sake of a timer. */
  get nextTimerMs(): number | undefined {
    return this.#ended === undefined ? this.#regions.nextTimerMs : undefined
  }

  /** Processes timers that are due, then the frames, as many as fit. */
  async run(frames: readonly InputFrame[], nowMs: number): Promise<BatchResult> {
    this.#checkIdle('run a batch')
    await this.#applyOutputs()
    const regions = this.#regions
    regions.clear()
    this.#frames = frames
    this.#recordsDone = 0
    this.#readTo = 0
    const size = regions.writeBatch(
      frames.map(({ stream, bytes, skip }) => ({ stream: this.#inputs.indexOf(stream), bytes, skip })),
    )
    const text = regions.textWanted && size.frames > 0 ? regions.inputText(size.bytes) : undefined
    return await this.#turn('run', [size.frames, size.bytes, nowMs, text])
  }

  /** Waits until a pending batch got on, and answers what that brought. */
  async resume(): Promise<BatchResult> {
    this.#checkIdle('resume a batch')
    for (;;) {
      const failure = await this.#untilWake()
      if (failure !== undefined) return this.#result(failure)
      const result = await this.#turn('wake', [this.#clock.nowMs()])
      if (!result.pending || result.records > 0 || result.timersFired > 0 || result.fatal !== undefined)
        return result
    }
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
    if (this.#ended !== undefined) return
    try {
      if (!this.#calls.busy && !this.#regions.pending) await this.#lifecycle('destroy', this.#clock.nowMs())
    } finally {
      this.#passOnConsole()
      this.kill()
    }
  }

  /** Ends the isolate at once; a call under way answers with a fatal result. */
  kill(): void {
    if (this.#ended !== undefined && this.#isolate.isDisposed) return
    this.#ended ??= isolateError('ERR_INSTANCE_STATE', `Cannot go on with ${this.#name}: it has been ended`)
    this.#dispose()
  }

  stats(): InstanceStats {
    if (!this.#calls.busy && this.#ended === undefined) {
      const { used_heap_size, externally_allocated_size } = this.#isolate.getHeapStatisticsSync()
      this.#heapBytes = used_heap_size + Math.max(0, externally_allocated_size - this.#regions.bytes)
    }
    const { stateEntries, stateBytes, timers } = this.#regions
    const cpuSeconds = this.#isolate.isDisposed ? 0 : Number(this.#isolate.cpuTime) / 1e9
    return { heapBytes: this.#heapBytes, cpuSeconds, stateEntries, stateBytes, timers }
  }

  get #name(): string {
    return `'${this.#options.function}' v${this.#options.version}`
  }

  #checkIdle(attempted: string): void {
    if (this.#ended !== undefined) throw this.#ended
    if (this.#calls.busy) throw isolateError('ERR_INSTANCE_STATE', `Cannot ${attempted}: a call is under way`)
    const resuming = attempted.startsWith('resume')
    if (this.#regions.pending !== resuming) {
      const found = resuming ? 'no callback is pending' : 'a callback is pending, resume first'
      throw isolateError('ERR_INSTANCE_STATE', `Cannot ${attempted}: ${found}`)
    }
  }

  /** Loads the runtime, which takes the globals in hand before any code of the author's. */
  async #boot(): Promise<ivm.Context> {
    const boot = async (): Promise<ivm.Context> => {
      const isolate = this.#isolate
      const context = await isolate.createContext()
      const runtime = await isolate.compileModule(await runtimeBundle(), { filename: runtimeFilename })
      await runtime.instantiate(context, () => {
        throw new Error('the runtime imports nothing')
      })
      await runtime.evaluate()
      for (const name of ['boot', 'define', 'lifecycle', 'run', 'wake', 'setOutputs'] as const) {
        this.#entries.set(name, await runtime.namespace.get(name, { reference: true }))
      }
      const { input, outcome, control, console } = this.#regions
      const shared = [input, outcome, control, console].map((memory) =>
        new ivm.ExternalCopy(memory).copyInto({ release: true }),
      )
      const seed = new ivm.ExternalCopy(new Uint8Array(this.#options.seed).buffer).copyInto({ release: true })
      await this.#entries.get('boot')!.apply(undefined, [JSON.stringify(this.#bootConfig()), ...shared, seed])
      return context
    }
    try {
      return await this.#calls.run(boot, { limitMs: bootMs })
    } catch (error) {
      throw this.#meaning(error, 'loading the runtime', bootMs)
    }
  }

  #bootConfig(): BootConfig {
    const { manifest, nowMs, version, instance } = this.#options
    return {
      function: this.#options.function,
      version,
      instance,
      env: manifest.env,
      args: manifest.args,
      nowMs,
      logLevel: manifest.logLevel,
      policy: manifest.onError,
      inputs: this.#inputs,
      outputs: outputTable(manifest, this.#options.outputs),
      outputBytesPerRecord: manifest.limits.outputBytesPerRecord,
    }
  }

  /** Evaluates the bundle and hands its default export to the runtime. */
  async #load(context: ivm.Context): Promise<void> {
    const { bundle, manifest } = this.#options
    const limitMs = manifest.limits.initMs
    const load = async (): Promise<string> => {
      const module = await this.#isolate.compileModule(bundle, { filename: bundleFilename })
      if (module.dependencySpecifiers.length > 0) {
        return `it imports ${module.dependencySpecifiers.map((s) => `'${s}'`).join(', ')}; a bundle must hold all its code`
      }
      await module.instantiate(context, () => {
        throw new Error('a bundle imports nothing')
      })
      await module.evaluate({ timeout: limitMs })
      const exported = await module.namespace.get('default', { reference: true })
      return (await this.#apply('define', [exported.derefInto({ release: true })], limitMs)) as string
    }
    let refused: string
    try {
      refused = await this.#calls.run(load, { limitMs })
    } catch (error) {
      if (failureOf(error, this.#isolate.isDisposed) !== undefined)
        throw this.#meaning(error, 'loading the bundle', limitMs)
      throw this.#loadError(error)
    }
    if (refused !== '') throw isolateError('ERR_BUNDLE_LOAD', `Cannot load ${this.#name}: ${refused}`)
  }

  /** An error that loading the bundle threw. isolated-vm has copied it out as strings. */
  #loadError(error: unknown): CodedError<IsolateErrorCode> {
    const message = error instanceof Error ? error.message : String(error)
    const name = error instanceof Error ? error.name : 'Error'
    const place = placeOf(message)
    const mapped = this.#stackMap.map(error instanceof Error ? (error.stack ?? '') : '')
    const location = place === undefined ? mapped.at : this.#stackMap.locate(place.line, place.column)
    const what = message.replace(/ \[function\.js:\d+:\d+\]/, '')
    const where = location === undefined ? '' : ` at ${spell(location)}`
    return isolateError('ERR_BUNDLE_LOAD', `Cannot load ${this.#name}: ${name}: ${what}${where}`, {
      stack: mapped.stack,
      location,
    })
  }

  async #lifecycle(callback: 'init' | 'destroy', nowMs: number): Promise<void> {
    const { initMs } = this.#options.manifest.limits
    this.#regions.clear()
    this.#readTo = 0
    this.#frames = []
    const endMs = this.#clock.monotonicMs() + initMs
    let result = await this.#turn('lifecycle', [callback, nowMs], initMs)
    while (result.pending && result.fatal === undefined) {
      const failure = await this.#untilWake(endMs)
      result =
        failure === undefined
          ? await this.#turn('wake', [this.#clock.nowMs()], initMs)
          : this.#result(failure)
    }
    if (result.fatal === undefined) return
    if (result.fatal.code !== 'ERR_FUNCTION_FAILED') throw result.fatal
    const code = callback === 'init' ? 'ERR_INIT_FAILED' : 'ERR_DESTROY_FAILED'
    throw isolateError(code, result.fatal.message.replace('processing', callback), result.fatal.detail)
  }

  async #applyOutputs(): Promise<void> {
    const outputs = this.#outputsWanted
    if (outputs === undefined) return
    this.#outputsWanted = undefined
    const table = outputTable(this.#options.manifest, outputs)
    await this.#turn('setOutputs', [JSON.stringify(table)])
    this.#reader = new OutcomeReader(table)
  }

  #apply(entry: Entry, args: readonly unknown[], timeout: number): Promise<unknown> {
    return this.#entries.get(entry)!.apply(undefined, args as never, { timeout })
  }

  /** One call, and what it brought. */
  async #turn(
    entry: Entry,
    args: readonly unknown[],
    limitMs = this.#options.manifest.limits.callbackMs,
  ): Promise<BatchResult> {
    const slowMs = Math.min(sliceMs, limitMs / 4)
    try {
      const broke = await this.#calls.run(() => this.#apply(entry, args, limitMs), {
        limitMs,
        slowMs,
        slow: () => this.#regions.askToYield(),
      })
      if (broke !== 0)
        return this.#result(
          isolateError('ERR_FUNCTION_FAILED', `${this.#name} has broken the runtime: see its log`),
        )
    } catch (error) {
      return this.#result(this.#meaning(error, this.#atHand(), limitMs))
    }
    return this.#result()
  }

  /** Reads what has been published since the last result. */
  #result(fatal?: CodedError<IsolateErrorCode>): BatchResult {
    let outcome: Outcome
    const recordAtHand = this.#recordIsAtHand
    try {
      outcome = this.#readOutcome()
    } catch (error) {
      outcome = emptyOutcome()
      fatal = isolateError('ERR_ISOLATE_LOST', (error as Error).message)
    }
    this.#recordsDone += outcome.records
    const failures = outcome.reports.flatMap((report) => this.#failure(report))
    const failed = outcome.reports.at(-1)?.reaction === 'fail' ? failures.at(-1) : undefined
    fatal ??= failed && this.#functionFailed(failed.error)
    this.#passOnConsole()
    if (fatal !== undefined) this.#end(fatal)
    return {
      records: outcome.records,
      outputs: outcome.outputs,
      failures,
      timersFired: outcome.timers,
      recordsOut: outcome.recordsOut,
      pending: fatal === undefined && this.#regions.pending,
      ...(fatal === undefined ? {} : { fatal, recordAtHand }),
    }
  }

  #readOutcome(): Outcome {
    const from = this.#readTo
    const to = this.#regions.published
    if (to < from)
      throw isolateError('ERR_ISOLATE_LOST', `Cannot read what ${this.#name} left: it ends at ${to}`)
    this.#readTo = to
    return to === from ? emptyOutcome() : this.#reader.read(this.#regions.copyOutcome(from, to))
  }

  #failure(report: OutcomeReport): RecordFailure[] {
    const error = parseReport(report.json, this.#stackMap, this.#clock.nowMs())
    const { reaction, attempts } = report
    if (reaction === 'retried') {
      const where = error.at === undefined ? '' : ` at ${error.at}`
      this.#options.log(
        'warn',
        `A callback went through at attempt ${attempts}, after ${error.name}: ${error.message}${where}`,
      )
      return []
    }
    return [
      {
        index: report.of === 'record' ? report.index : Number.POSITIVE_INFINITY,
        error,
        action: reaction,
        attempts,
      },
    ]
  }

  #functionFailed(error: ErrorReport): CodedError<IsolateErrorCode> {
    const where = error.at === undefined ? '' : ` at ${error.at}`
    return isolateError(
      'ERR_FUNCTION_FAILED',
      `${this.#name} failed in processing: ${error.name}: ${error.message}${where}`,
      {
        error,
      },
    )
  }

  /** Waits for the next setTimeout of a pending callback. @returns Why that is in vain. */
  async #untilWake(endMs = Number.POSITIVE_INFINITY): Promise<CodedError<IsolateErrorCode> | undefined> {
    const { asyncMs } = this.#options.manifest.limits
    const sinceMs = this.#waitingSince()
    const leftMs = Math.min(sinceMs + asyncMs, endMs) - this.#clock.monotonicMs()
    const wakeMs = this.#regions.nextWakeMs
    const what = this.#atHand()
    if (wakeMs === undefined) {
      return isolateError(
        'ERR_DEADLINE',
        `Cannot go on with ${what} of ${this.#name}: it awaits what nothing will settle`,
      )
    }
    const delayMs = wakeMs - this.#clock.nowMs()
    const inTime = delayMs <= leftMs
    if (!(await this.#sleep(Math.max(0, Math.min(delayMs, leftMs))))) return this.#ended
    if (inTime) return undefined
    return isolateError(
      'ERR_DEADLINE',
      `Cannot wait longer for ${what} of ${this.#name}: its promise has not settled in ${asyncMs} ms`,
    )
  }

  /** When the callback that is pending was first seen to be. */
  #waitingSince(): number {
    if (this.#waitingFor !== this.#regions.pendings) {
      this.#waitingFor = this.#regions.pendings
      this.#waitingSinceMs = this.#clock.monotonicMs()
    }
    return this.#waitingSinceMs
  }

  /** @returns Whether the time passed; false if the instance was ended meanwhile. */
  async #sleep(ms: number): Promise<boolean> {
    let cancel: (() => void) | undefined
    const passed = () =>
      new Promise<void>((resolve) => {
        cancel = this.#clock.after(ms, resolve)
      })
    try {
      await this.#calls.run(passed, { limitMs: ms })
      return true
    } catch {
      return false
    } finally {
      cancel?.()
    }
  }

  /** What the isolate was at, in words. */
  get #recordIsAtHand(): boolean {
    return (this.#regions.phase & ~phase.pending) === phase.records
  }

  #atHand(): string {
    const at = this.#regions.phase & ~phase.pending
    if (at === phase.lifecycle) return 'init or destroy'
    if (at === phase.timers) return 'a timer'
    let left = this.#recordsDone + this.#recordsUnread()
    for (const { stream, partition, header, skip } of this.#frames) {
      if (left < header.count - skip) {
        return `the record ${header.sequence + skip + left} of producer ${header.producer} in '${stream}'/${partition}`
      }
      left -= header.count - skip
    }
    return 'a batch'
  }

  /** Records that were published and not yet read. */
  #recordsUnread(): number {
    try {
      const to = this.#regions.published
      return to > this.#readTo ? this.#reader.read(this.#regions.copyOutcome(this.#readTo, to)).records : 0
    } catch {
      return 0
    }
  }

  /** What the failure of a call means. */
  #meaning(error: unknown, doing: string, limitMs: number): CodedError<IsolateErrorCode> {
    if (this.#ended !== undefined) return this.#ended
    const failure: CallFailure | undefined = failureOf(error, this.#isolate.isDisposed)
    if (failure?.kind === 'deadline') {
      return isolateError(
        'ERR_DEADLINE',
        `Cannot go on with ${this.#name}: ${doing} took longer than its limit of ${limitMs} ms`,
      )
    }
    if (failure?.kind === 'memory') {
      const { heapMib } = this.#options.manifest.limits
      return isolateError(
        'ERR_MEMORY',
        `Cannot go on with ${this.#name}: ${doing} passed the limit of ${heapMib} MiB of heap`,
      )
    }
    const text = failure?.message ?? (error instanceof Error ? error.message : 'an error that is none')
    return isolateError(
      'ERR_ISOLATE_LOST',
      `Cannot go on with ${this.#name}: its isolate was lost in ${doing}: ${text}`,
    )
  }

  /** V8 says that it has lost the isolate. */
  #lose(message: string): void {
    this.#ended ??= isolateError(
      'ERR_ISOLATE_LOST',
      `Cannot go on with ${this.#name}: V8 has lost its isolate: ${message}`,
    )
    this.#calls.abort(failureOf(new Error(message), true)!)
  }

  #end(fatal: CodedError<IsolateErrorCode>): void {
    this.#ended = fatal
    this.#dispose()
  }

  #dispose(): void {
    this.#entries.clear()
    this.#calls.abort(failureOf(new Error('it was ended'), true)!)
    try {
      if (!this.#isolate.isDisposed) this.#isolate.dispose()
    } catch {
      // It is lost already: V8 holds on to its thread, and only the end of the process frees it (N3).
    }
  }

  #passOnConsole(): void {
    for (const { level, line } of this.#regions.takeConsole()) this.#options.log(level, line)
  }
}

/** The table of output streams, as runtime and reader count them: the manifest's order. */
function outputTable(manifest: Manifest, outputs: Outputs): OutputConfig[] {
  return manifest.ostreams.map((name) => {
    const { partitions, keyed } = outputs[name] ?? { partitions: 1, keyed: true }
    return { name, partitions, keyed }
  })
}
