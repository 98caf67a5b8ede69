/**
 * Test kit: runs a function in memory, with a clock that the test moves.
 *
 * It is the runtime of the isolates itself (sdk/runtime), so order, atomicity, retries, timers, partitions and limits
 * of size are the real ones, and so are the clock and the random numbers that a function sees (seam-globals.ts). What
 * differs: the other globals are Node's, nothing limits time and memory, and module-level variables live through
 * `restart()`.
 *
 *   TK1. A synchronous callback has run when `send` or `advance` returns, and what it did can be seen.
 *   TK2. While a callback's promise has not settled, what the test asks for is queued; `settled()` waits for all of it.
 * @module
 */

import type { Data, FunctionDefinition, StateFormat } from '../function.ts'
import { policyOf, waitAfter } from '../manifest/policy.ts'
import { type Arena, firstFormat, OwnSlabs, openArena } from '../runtime/arena/index.ts'
import { checkDefinition } from '../runtime/callback/definition.ts'
import { LoadedAssets } from '../runtime/callback/loaded-assets.ts'
import type { Seam } from '../runtime/callback/seam.ts'
import { Engine } from '../runtime/engine/engine.ts'
import { ChaCha } from '../runtime/globals/chacha.ts'
import { entriesOf } from '../runtime/outcome/outcome-reader.ts'
import { OutcomeWriter, OutputStream } from '../runtime/outcome/outcome-writer.ts'
import { utf8Encode, utf8Read } from '../runtime/realm/utf8.ts'
import { lineOf } from '../runtime/records/aside.ts'
import { AsideList, type Waiting } from '../runtime/records/aside-list.ts'
import { inputOf } from '../runtime/records/record.ts'
import { type BatchFrame, inputBytes, writeBatch } from '../runtime/shared/batch.ts'
import { ControlWords } from '../runtime/shared/control-words.ts'
import { control, controlBytes, outcomeBytes, verdict } from '../runtime/shared/layout.ts'
import { MetricNames, metricNamesBytes, readMetricName } from '../runtime/shared/metric-names.ts'
import { firstArena, partitionOfArena } from '../wire/arenas.ts'
import { frameOf, stampHeader } from '../wire/frame.ts'
import { partitionOf } from '../wire/hash.ts'
import { SeamGlobals } from './seam-globals.ts'
import type {
  DeployOptions,
  Output,
  Seen,
  SeenError,
  SeenTimer,
  SendOptions,
  TestKit,
  TestKitOptions,
} from './types.ts'

/**
 * Starts a function; its `init` is called at once.
 * @example
 * ```ts
 * const kit = testKit(wordcount)
 * kit.send('lines', 'k', 'to be or not to be').advance(60_000)
 * assert.equal(kit.outputs('counts').length, 4)
 * ```
 */
export function testKit(definition: FunctionDefinition, options: TestKitOptions = {}): TestKit {
  return new Kit(definition, options)
}

const defaultNowMs = Date.UTC(2020, 0, 1)
/** More timers than this at one time mean a timer that sets itself for ever. */
const timersAtOnceMax = 100_000
const outputBytesDefault = 4 * 1024 * 1024

/** A record in a frame of its own. */
interface Item {
  readonly stream: number
  readonly bytes: Uint8Array
  readonly partition: number
  readonly key: Uint8Array
}

class Kit implements TestKit {
  readonly #partitions: number
  readonly #states: (Arena | undefined)[] = []
  readonly #outputs: Output[] = []
  readonly #errors: SeenError[] = []
  /** Work that waits for a pending callback, in order. */
  readonly #jobs: (() => void)[] = []
  readonly #waiters: { resolve: () => void; reject: (error: unknown) => void }[] = []
  readonly #seam: Seam & { version: number }
  readonly #globals: SeamGlobals
  readonly #controlWords = new ControlWords(new ArrayBuffer(controlBytes))
  readonly #input = inputOf(new ArrayBuffer(inputBytes))
  readonly #log: Uint8Array<ArrayBuffer>
  readonly #writer: OutcomeWriter
  readonly #metricNames = new Uint8Array(metricNamesBytes)
  readonly #metrics: { readonly name: string; readonly value: number }[] = []
  #inputs: readonly string[] = []
  #streams: readonly OutputStream[] = []
  #policy = policyOf('fail')
  readonly #aside = new AsideList<Item>((attempts) => waitAfter(attempts, this.#policy))
  #atHand: { readonly item: Item; readonly waiting: Waiting<Item> | undefined } | undefined
  #engine: Engine
  #definition: FunctionDefinition
  #format: StateFormat
  /** What a rollback restores. */
  #before:
    | { readonly definition: FunctionDefinition; readonly version: number; readonly own: number }
    | undefined
  #thrown: unknown
  /** The error of a callback, until it is thrown to the test. */
  #untold: { readonly error: unknown } | undefined
  /** Whether `#work` is on the stack: then it continues with new work itself. */
  #working = false

  constructor(definition: FunctionDefinition, options: TestKitOptions) {
    this.#partitions = options.partitions ?? 16
    const outputBytes = options.outputBytesPerRecord ?? outputBytesDefault
    this.#log = new Uint8Array(outcomeBytes(outputBytes))
    const names = new MetricNames(this.#metricNames.buffer)
    this.#writer = new OutcomeWriter(this.#log.buffer, this.#controlWords, outputBytes, names)
    const { name } = checkDefinition(definition).metadata
    const version = options.version ?? 1
    const assets = new LoadedAssets(name, version)
    for (const [asset, content] of Object.entries(options.assets ?? {}))
      assets.add(asset, new Uint8Array(bytesOf(content)).buffer) // a copy: a small Buffer is a view of a larger memory
    const instance = options.instance ?? 0
    const numbers = new ChaCha(seedOf(options.seed ?? 0, instance))
    this.#seam = {
      function: name,
      version,
      instance,
      env: Object.freeze({ ...options.env }),
      args: Object.freeze([...(options.args ?? [])]),
      asset: (name) => assets.get(name),
      nowMs: options.nowMs ?? defaultNowMs,
      fillRandom: (bytes) => numbers.fill(bytes),
      print: (level, line) => console[level](line),
    }
    this.#globals = new SeamGlobals(this.#seam, () => numbers.number())
    this.#definition = definition
    this.#format = { own: firstFormat, kept: firstFormat }
    this.#engine = this.#make()
    this.#do(() => this.#lifecycle('init'))
  }

  send(stream: string, key: Data, value: Data, options: SendOptions = {}): this {
    const index = this.#inputs.indexOf(stream)
    if (index < 0)
      throw new Error(`Cannot send to '${stream}': the istreams are ${this.#inputs.join(', ') || 'none'}`)
    const record = { key: bytesOf(key), value: bytesOf(value), timeMs: options.timeMs ?? this.#seam.nowMs }
    const partition = options.partition ?? partitionOf(record.key, this.#partitions)
    const frame = frameOf([record])
    stampHeader(frame, { flags: 0, partition, producer: noId, origin: noId, epoch: 0, count: 1, sequence: 0 })
    return this.#do(() => this.#runRecord({ stream: index, bytes: frame, partition, key: record.key }))
  }

  advance(ms: number): this {
    if (!(ms >= 0)) throw new RangeError(`Cannot advance by ${ms} ms: time only moves on`)
    return this.#do(() => this.#advanceTo(this.#seam.nowMs + ms, 0))
  }

  nowMs(): number {
    return this.#seam.nowMs
  }

  outputs(stream?: string): Output[] {
    return this.#outputs.filter((output) => stream === undefined || output.stream === stream)
  }

  state(key: Data, partition?: number): Seen | undefined {
    const found: Seen[] = []
    for (const [arena, state] of this.#states.entries()) {
      const at = partitionOfArena(arena)
      const value =
        partition === undefined || partition === at ? state?.get(key, undefined, false) : undefined
      if (value !== undefined) found.push(seen(at, value))
    }
    if (found.length > 1)
      throw new Error(`Cannot tell which state '${String(key)}' is meant: name the partition`)
    return found[0]
  }

  timers(): SeenTimer[] {
    const timers = this.#states.flatMap(
      (state, arena) =>
        state?.timers.list().map(({ key, timeMs, dueMs, order }) => ({
          partition: partitionOfArena(arena),
          key,
          timeMs,
          dueMs,
          order,
        })) ?? [],
    )
    timers.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)
    return timers.map(({ partition, key, timeMs }) => ({ partition, key, timeMs }))
  }

  errors(): SeenError[] {
    return [...this.#errors]
  }

  counted(name: string): number {
    return this.observed(name).reduce((sum, value) => sum + value, 0)
  }

  observed(name: string): number[] {
    return this.#metrics.filter((metric) => metric.name === name).map(({ value }) => value)
  }

  settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      if (!this.#engine.pending) this.#tellWaiters()
    })
  }

  restart(definition: FunctionDefinition = this.#definition): this {
    return this.#put(() => {
      this.#definition = checkDefinition(definition)
    })
  }

  deploy(definition: FunctionDefinition, { onTrial = false }: DeployOptions = {}): this {
    return this.#put(() => {
      const { version } = this.#seam
      const before = this.#before ?? { definition: this.#definition, version, own: this.#format.own }
      this.#before = onTrial ? before : undefined
      this.#definition = checkDefinition(definition)
      this.#seam.version++
      const own = definition.migrate === undefined ? before.own : this.#seam.version
      this.#format = { own, kept: onTrial ? before.own : own }
    })
  }

  promote(): this {
    this.#jobs.push(() => {
      this.#before = undefined
      this.#format = { own: this.#format.own, kept: this.#format.own }
      this.#engine.settleFormat(this.#format.own)
    })
    return this.#goOn()
  }

  rollback(): this {
    return this.#put(() => {
      if (this.#before === undefined) throw new Error('Cannot roll back: no version is on trial')
      const { definition, version, own } = this.#before
      this.#before = undefined
      this.#definition = definition
      this.#seam.version = version
      this.#format = { own, kept: own }
    })
  }

  /** Ends the instance and starts another after `change`. */
  #put(change: () => void): this {
    if (!this.#engine.failed) this.stop()
    this.#jobs.push(() => {
      change()
      this.#engine = this.#make()
      this.#engine.settleFormat(this.#format.kept)
      this.#lifecycle('init')
    })
    return this.#goOn()
  }

  stop(): this {
    this.#jobs.push(() => this.#endAside())
    return this.#do(() => this.#lifecycle('destroy'))
  }

  #lifecycle(step: 'init' | 'destroy'): void {
    this.#globals.run(() => this.#engine.lifecycle(step, this.#seam.nowMs))
  }

  /** Makes an engine over the state and timers that are there. */
  #make(): Engine {
    const { istreams = {}, ostreams = [], onError = 'fail' } = this.#definition.metadata
    this.#policy = policyOf(onError)
    this.#inputs = Object.keys(istreams)
    this.#streams = ostreams.map((name, index) => new OutputStream(name, index, this.#partitions, true))
    return new Engine({
      definition: this.#definition,
      policy: onError,
      format: this.#format,
      seam: this.#seam,
      inputs: this.#inputs,
      arenas: Object.values(istreams).map((input) =>
        firstArena(typeof input === 'string' ? input : input.grouping),
      ),
      outputs: this.#streams,
      input: this.#input,
      writer: this.#writer,
      controlWords: this.#controlWords,
      partitions: [...this.#states.keys()].filter((partition) => this.#states[partition] !== undefined),
      openState: (partition) => (this.#states[partition] ??= this.#openState()),
      onThrown: (thrown) => {
        this.#thrown = thrown
      },
      onFinish: () => this.#finished(),
    })
  }

  #openState(): Arena {
    const commitWord = this.#controlWords.commitWord(control.published)
    return openArena(new OwnSlabs(), { clock: this.#seam, commitWord })
  }

  /** @param waiting Set if the record was set aside. @param last Whether this is its last attempt. */
  #runRecord(item: Item, waiting?: Waiting<Item>, last = false): void {
    this.#atHand = { item, waiting }
    const { stream, bytes } = item
    this.#run([{ stream, bytes, skip: 0, tried: waiting?.attempts, last }])
  }

  /** Gives records that were set aside their last attempts, one after another. */
  #endAside(): void {
    const [waiting] = this.#aside.take(Number.POSITIVE_INFINITY, 1)
    if (waiting === undefined) return
    this.#jobs.unshift(() => this.#endAside())
    this.#runRecord(waiting.item, waiting, true)
  }

  /** The current record is done, or waits. */
  #recordDone(how: number): void {
    const { item, waiting } = this.#atHand!
    const nowMs = this.#seam.nowMs
    if (how === verdict.setAside || how === verdict.behind) {
      if (waiting !== undefined) return this.#aside.again(waiting, nowMs)
      const line = this.#policy.keepsOrder ? lineOf(item.partition, item.key) : undefined
      this.#aside.add({ item, line, bytes: 0, attempts: how === verdict.behind ? 0 : 1 }, nowMs)
    } else if (waiting !== undefined) this.#aside.done(waiting, nowMs)
  }

  #run(frames: readonly (BatchFrame & { readonly stream: number })[]): void {
    const { words, bytes } = this.#input
    const batch = {
      frames: writeBatch(words, bytes, frames, ({ stream }) => stream).frames,
      nowMs: this.#seam.nowMs,
      text: undefined,
      lines: this.#policy.keepsOrder ? JSON.stringify(this.#aside.lines) : undefined,
    }
    this.#globals.run(() => this.#engine.run(batch))
  }

  /** Calls the timers due next, and comes back for more as the next job. */
  #advanceTo(untilMs: number, timersAtOnce: number): void {
    const dueMs = Math.min(
      this.#aside.nextDueMs,
      ...this.#states.flatMap((state) => state?.timers.dueMs ?? []),
    )
    if (dueMs > untilMs) {
      this.#seam.nowMs = untilMs
      return
    }
    if (timersAtOnce > timersAtOnceMax)
      throw new Error(`Cannot advance: more than ${timersAtOnceMax} timers fell due at once`)
    const count = dueMs > this.#seam.nowMs ? 0 : timersAtOnce + 1
    this.#seam.nowMs = Math.max(dueMs, this.#seam.nowMs)
    this.#jobs.unshift(() => this.#advanceTo(untilMs, count))
    const [waiting] = this.#aside.take(this.#seam.nowMs, 1)
    if (waiting === undefined) this.#run([])
    else this.#runRecord(waiting.item, waiting)
  }

  /** Runs a job now, or once no callback is pending. */
  #do(job: () => void): this {
    if (this.#untold === undefined && this.#engine.failed) {
      throw new Error(
        'Cannot go on: a callback has failed under the policy `fail`; `restart()` starts the function anew',
      )
    }
    this.#jobs.push(job)
    return this.#goOn()
  }

  #goOn(): this {
    if (!this.#engine.pending) this.#work()
    const untold = this.#engine.pending ? undefined : this.#untold
    if (untold === undefined) return this
    this.#untold = undefined
    throw untold.error
  }

  /** Runs queued jobs, up to a callback that is pending. */
  #work(): void {
    this.#working = true
    try {
      while (!this.#engine.pending && this.#untold === undefined) {
        const job = this.#jobs.shift()
        if (job === undefined) break
        job()
      }
    } catch (error) {
      this.#untold = { error }
    }
    this.#working = false
    if (this.#untold !== undefined) this.#jobs.length = 0
  }

  /** A batch, `init` or `destroy` has ended. */
  #finished(): void {
    this.#collect()
    if (this.#working) return
    this.#work()
    if (!this.#engine.pending) this.#tellWaiters()
  }

  /** Collects the outputs and other effects of callbacks. */
  #collect(): void {
    const published = this.#controlWords.word(control.published)
    for (const entry of entriesOf(this.#log.slice(0, published))) {
      if (entry.kind === 'report') {
        this.#errors.push({ error: this.#thrown, reaction: entry.reaction, attempts: entry.attempts })
        if (entry.reaction === 'fail') this.#untold = { error: this.#thrown }
      } else if (entry.kind === 'done') {
        if (entry.of === 'record') this.#recordDone(entry.verdict)
      } else if (entry.kind === 'metric') {
        const { name } = readMetricName(this.#metricNames, entry.id)!
        this.#metrics.push({ name, value: entry.value })
      } else if (entry.kind === 'output') {
        const { key, value, timeMs } = entry.record
        const stream = this.#streams[entry.stream]!.name
        this.#outputs.push({
          ...seen(entry.partition, value),
          stream,
          key: utf8Read(key),
          keyBytes: key,
          timeMs,
        })
      }
    }
  }

  #tellWaiters(): void {
    const untold = this.#untold
    if (this.#waiters.length > 0) this.#untold = undefined
    for (const { resolve, reject } of this.#waiters.splice(0)) {
      if (untold === undefined) resolve()
      else reject(untold.error)
    }
  }
}

const noId = { low: 0, high: 0 }

function seedOf(...words: readonly number[]): Uint8Array {
  const seed = new Uint32Array(8)
  seed.set(words)
  return new Uint8Array(seed.buffer)
}

function bytesOf(data: Data): Uint8Array {
  return typeof data === 'string' ? utf8Encode(data) : data
}

function seen(partition: number, value: Uint8Array): Seen {
  return {
    partition,
    value,
    text: () => utf8Read(value),
    json: <T>() => JSON.parse(utf8Read(value)) as T,
  }
}
