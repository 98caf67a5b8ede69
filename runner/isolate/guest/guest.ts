/**
 * Guest: the isolate itself: made, loaded, called and disposed of.
 *
 *   U1. The runtime is loaded, and has secured the globals, before any of the author's code.
 *   U2. The isolate gets only text, numbers and shared memory from the host: no function, no object of isolated-vm.
 *   U3. Everything thrown here is a CodedError that says what the isolate was doing (meaning.ts).
 * @module
 */
import { availableParallelism } from 'node:os'
import ivm from 'isolated-vm'
import type { Clock } from '../../../infra/clock.ts'
import type { CodedError } from '../../../sdk/errors.ts'
import type { BootConfig } from '../../../sdk/runtime/index.ts'
import { CallFailure, failureOf, type GuestCall, IsolateCalls } from '../calls/isolate-call.ts'
import { type IsolateErrorCode, isolateError } from '../errors.ts'
import { countIsolate, forgetIsolate, type IsolateHolder } from '../memory/isolate-memory.ts'
import { Outside } from '../memory/outside.ts'
import type { Regions } from '../memory/regions.ts'
import { bundleFilename } from '../report/stack-map.ts'
import type { AddedSlab } from '../state/state-store.ts'
import type { HeldAssets } from '../types.ts'
import { collect } from './collect.ts'
import { Meaning, type MeaningOptions } from './meaning.ts'
import { runtimeBundle } from './runtime-bundle.ts'
import { Turns } from './turns.ts'

/** Making an isolate and loading the runtime takes some milliseconds; this leaves room for a busy machine. */
const bootMs = 10_000

/** What the runtime exports (sdk/runtime/isolate-main.ts). */
const entries = [
  'boot',
  'giveAssets',
  'giveSlabs',
  'shrinkState',
  'giveBackSlabs',
  'giveShadow',
  'define',
  'lifecycle',
  'run',
  'wake',
  'setOutputs',
  'keepPartitions',
  'letGo',
  'takeOver',
  'endTrial',
  'settleFormat',
  'showTimer',
  'changeTimer',
] as const
export type Entry = (typeof entries)[number]

/**
 * Limits concurrent starts: the next one reuses the memory that compiling needs, where a hundred at once would each
 * need it.
 */
const boots = new Turns(availableParallelism())

export interface GuestOptions extends MeaningOptions {
  /** Memory for state besides the heap, and as much again for copies of its pages during a checkpoint. */
  readonly stateMib: number
  readonly regions: Regions
  readonly assets: HeldAssets
  readonly clock: Clock
  /** Bytes of state that the isolate has. */
  readonly stateBytes: () => number
}

/** State that an isolate takes over from another. */
export interface TakenState {
  /** Partitions whose earlier slabs it may keep; undefined: all. */
  readonly keep: readonly number[] | undefined
  readonly slabs: readonly AddedSlab[]
  readonly shadow: SharedArrayBuffer | undefined
  readonly adopt: readonly number[]
}

export class Guest implements IsolateHolder {
  readonly #options: GuestOptions
  readonly #isolate: ivm.Isolate
  readonly #meaning: Meaning
  readonly #calls: IsolateCalls
  readonly #entries = new Map<Entry, ivm.Reference>()
  #context: ivm.Context | undefined
  /** Why no calls are possible any more. */
  #ended: CodedError<IsolateErrorCode> | undefined
  /** A collection under way; the isolate must not be disposed of before its end (collect.ts, CO1). */
  #collecting: Promise<void> | undefined
  /** V8 will never give its thread back. */
  #lost = false
  #physicalBytes = 0
  readonly #outside = new Outside()
  /** Whether its heap was not measured since it was last counted. */
  #isUnseen = true

  constructor(options: GuestOptions) {
    this.#options = options
    this.#meaning = new Meaning(options)
    this.#calls = new IsolateCalls(options.clock)
    this.#isolate = new ivm.Isolate({
      memoryLimit:
        options.heapMib +
        2 * options.stateMib +
        Math.ceil((options.regions.bytes + contentBytes(options.assets)) / 2 ** 20),
      inspector: true, // of collect.ts
      onCatastrophicError: (message) => this.#lose(message),
    })
    countIsolate(this)
  }

  get ended(): CodedError<IsolateErrorCode> | undefined {
    return this.#ended
  }

  get busy(): boolean {
    return this.#calls.busy
  }

  /**
   * Memory of the isolate without the regions and the texts of batches. V8 keeps up to some 64 MiB of these texts
   * outside its heap until it collects them. Not while a call is under way.
   */
  heapBytes(): number {
    const seen = this.#isolate.getHeapStatisticsSync()
    const { regions, assets, stateBytes } = this.#options
    const shared = regions.bytes + contentBytes(assets) + stateBytes()
    const outside = Math.max(0, seen.externally_allocated_size - shared)
    this.#physicalBytes = seen.total_physical_size + seen.malloced_memory + outside
    this.#isUnseen = false
    return seen.used_heap_size + this.#outside.look(outside)
  }

  get regionBytes(): number {
    const { bytes, input } = this.#options.regions
    return bytes - input.byteLength
  }

  get physicalBytes(): number {
    if (this.#isUnseen && !this.busy && this.#ended === undefined && this.#context !== undefined)
      this.heapBytes()
    this.#isUnseen = true
    return this.#physicalBytes
  }

  /** CPU time, including waits for a CPU: the isolate's clock is a wall clock that stops between calls. */
  cpuSeconds(): number {
    return this.#isolate.isDisposed ? 0 : Number(this.#isolate.cpuTime) / 1e9
  }

  /** Loads the runtime (U1). */
  async boot(config: BootConfig, seed: Uint8Array, state: readonly AddedSlab[]): Promise<void> {
    const boot = async (): Promise<void> => {
      const isolate = this.#isolate
      this.#context = await isolate.createContext()
      const source = (await runtimeBundle()).copyInto()
      const runtime = await this.#context.evalClosure('return (0, eval)($0)', [source], {
        result: { reference: true },
      })
      for (const name of entries) {
        this.#entries.set(name, await runtime.get(name, { reference: true, accessors: true }))
      }
      runtime.release()
      const { input, outcome, control } = this.#options.regions
      const shared = [input, outcome, control, new Uint8Array(seed).buffer].map((memory) =>
        new ivm.ExternalCopy(memory).copyInto({ release: true }),
      )
      await this.#entries.get('boot')!.apply(undefined, [JSON.stringify(config), ...shared])
      const { assets } = this.#options
      if (assets.size > 0) await this.#apply('giveAssets', assetArguments(assets), bootMs)
      if (state.length === 0) return
      if ((await this.#apply('giveSlabs', slabArguments(state), bootMs)) !== 0)
        throw new CallFailure('lost', 'the state cannot be opened: see its log')
    }
    try {
      await boots.take(() => this.#calls.run(boot(), { limitMs: bootMs }))
    } catch (error) {
      throw this.#meaningOf(error, 'loading the runtime', bootMs)
    }
  }

  /**
   * Evaluates a bundle and hands its default export to the runtime.
   * @throws {CodedError} ERR_BUNDLE_LOAD, with the place in the author's source, or as `call` does.
   */
  async load(bundle: string, limitMs: number): Promise<void> {
    const load = async (): Promise<string> => {
      const module = await this.#isolate.compileModule(bundle, { filename: bundleFilename })
      const imports = module.dependencySpecifiers.map((specifier) => `'${specifier}'`).join(', ')
      if (imports !== '') return `it imports ${imports}; a bundle must hold all its code`
      await module.instantiate(this.#context!, importsNothing)
      await module.evaluate({ timeout: limitMs })
      const exported = await module.namespace.get('default', { reference: true })
      return (await this.#apply('define', [exported.derefInto({ release: true })], limitMs)) as string
    }
    let refused: string
    try {
      refused = await this.#calls.run(load(), { limitMs })
    } catch (error) {
      const ours = failureOf(error, this.#isolate.isDisposed) !== undefined
      throw ours ? this.#meaningOf(error, 'loading the bundle', limitMs) : this.#meaning.ofLoad(error)
    }
    if (refused !== '') throw isolateError('ERR_BUNDLE_LOAD', `Cannot load ${this.#options.name}: ${refused}`)
  }

  /**
   * Calls into the runtime.
   * @throws {CodedError} ERR_DEADLINE, ERR_MEMORY, ERR_ISOLATE_LOST; ERR_FUNCTION_FAILED if the author's code has
   *   removed globals that the runtime needs, or left a rejected promise unhandled.
   */
  async call(entry: Entry, args: readonly unknown[], { doing, ...limits }: GuestCall): Promise<void> {
    let broke: unknown
    const { limitMs, here } = limits
    try {
      broke = here
        ? this.#applyHere(entry, args, limitMs)
        : await this.#calls.run(this.#apply(entry, args, limitMs), limits)
    } catch (error) {
      const stray = this.#ended === undefined && failureOf(error, this.#isolate.isDisposed) === undefined
      throw stray ? this.#meaning.ofStray(error, doing()) : this.#meaningOf(error, doing(), limitMs)
    }
    if (broke === 0) return
    throw isolateError('ERR_FUNCTION_FAILED', `${this.#options.name} has broken the runtime: see its log`)
  }

  /** Hands slabs in. @throws {CodedError} As `call` does. */
  async giveSlabs(slabs: readonly AddedSlab[], limits: GuestCall): Promise<void> {
    await this.call('giveSlabs', slabArguments(slabs), limits)
  }

  /** Hands in the memory into which pages are copied during a checkpoint. @throws {CodedError} As `call` does. */
  async giveShadow(shadow: SharedArrayBuffer, limits: GuestCall): Promise<void> {
    await this.call('giveShadow', [new ivm.ExternalCopy(shadow).copyInto({ release: true })], limits)
  }

  /** Takes over state from another isolate, on this thread. @throws {CodedError} As `call` does. */
  async takeOver(taken: TakenState, limits: GuestCall): Promise<void> {
    const { keep, adopt, slabs, shadow } = taken
    const json = JSON.stringify({ keep, adopt, slabs: slabs.map(({ partition }) => partition) })
    const memory = [shadow, ...slabs.map(({ slab }) => slab)].map(
      (shared) => shared && new ivm.ExternalCopy(shared).copyInto({ release: true }),
    )
    await this.call('takeOver', [json, ...memory], { ...limits, here: true })
  }

  /** Collects its garbage, between two calls. @param doing For the text of an error. @throws {CodedError} As `call` does. */
  async collect(doing: string): Promise<void> {
    const limitMs = bootMs
    const run = (): Promise<void> => {
      this.#collecting = collect(this.#isolate).finally(() => {
        this.#collecting = undefined
      })
      return this.#collecting
    }
    try {
      await this.#calls.run(run(), { limitMs })
    } catch (error) {
      throw this.#meaningOf(error, doing, limitMs)
    }
  }

  /** Waits. @throws {CodedError} If the isolate is ended meanwhile. */
  async sleep(ms: number): Promise<void> {
    let cancel: (() => void) | undefined
    const passed = () =>
      new Promise<void>((resolve) => {
        cancel = this.#options.clock.after(ms, resolve)
      })
    try {
      await this.#calls.within(passed(), { limitMs: ms })
    } catch (error) {
      throw this.#meaningOf(error, 'waiting', ms)
    } finally {
      cancel?.()
    }
  }

  /** Ends the isolate; a call under way fails with `why`. */
  end(why: CodedError<IsolateErrorCode>): void {
    this.#ended ??= why
    forgetIsolate(this)
    this.#entries.clear()
    this.#calls.abort(new CallFailure('lost', 'it was ended'))
    if (this.#collecting === undefined) this.#dispose()
    else void this.#collecting.catch(() => undefined).then(() => this.#dispose())
  }

  #dispose(): void {
    try {
      if (!this.#isolate.isDisposed) this.#isolate.dispose()
    } catch {
      // The isolate is lost: V8 holds its thread, and only the end of the process frees it.
    }
  }

  /** @returns Whether the isolate's thread is known to have ended within `ms` of its end being asked for. */
  async endedWithin(ms: number): Promise<boolean> {
    return !this.#lost && (await this.#calls.noneWithin(ms)) && !this.#lost
  }

  #apply(entry: Entry, args: readonly unknown[], timeout: number): Promise<unknown> {
    return this.#entry(entry, args).apply(undefined, args as never, { timeout })
  }

  /** On this thread. */
  #applyHere(entry: Entry, args: readonly unknown[], timeout: number): unknown {
    return this.#entry(entry, args).applySync(undefined, args as never, { timeout })
  }

  #entry(entry: Entry, args: readonly unknown[]): ivm.Reference {
    for (const arg of args) if (typeof arg === 'string') this.#outside.add(arg.length)
    return this.#entries.get(entry)!
  }

  /** Handles V8's report that it has lost the isolate. */
  #lose(message: string): void {
    const { name } = this.#options
    this.#lost = true
    forgetIsolate(this)
    this.#ended ??= isolateError(
      'ERR_ISOLATE_LOST',
      `Cannot go on with ${name}: V8 has lost its isolate: ${message}`,
    )
    this.#calls.abort(new CallFailure('lost', message))
  }

  /** What the failure of a call means. */
  #meaningOf(error: unknown, doing: string, limitMs: number): CodedError<IsolateErrorCode> {
    if (this.#ended !== undefined) return this.#ended
    return this.#meaning.ofCall(error, failureOf(error, this.#isolate.isDisposed), doing, limitMs)
  }
}

function slabArguments(slabs: readonly AddedSlab[]): unknown[] {
  const partitions = JSON.stringify(slabs.map(({ partition }) => partition))
  return [partitions, ...slabs.map(({ slab }) => new ivm.ExternalCopy(slab).copyInto({ release: true }))]
}

function contentsOf(assets: HeldAssets): SharedArrayBuffer[] {
  return [...new Set([...assets.values()].map(({ memory }) => memory))]
}

function contentBytes(assets: HeldAssets): number {
  return contentsOf(assets).reduce((sum, { byteLength }) => sum + byteLength, 0)
}

function assetArguments(assets: HeldAssets): unknown[] {
  const contents = contentsOf(assets)
  const names = [...assets].map(([name, { memory }]) => [name, contents.indexOf(memory)])
  const copies = contents.map((memory) => new ivm.ExternalCopy(memory).copyInto({ release: true }))
  return [JSON.stringify(names), ...copies]
}

function importsNothing(): never {
  throw new Error('nothing can be imported in an isolate')
}
