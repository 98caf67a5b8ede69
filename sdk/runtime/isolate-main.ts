/**
 * IsolateMain: the runtime's entry inside an isolate. It is evaluated before any code of the author's, and the host
 * calls what it exports; that code can reach nothing else of it.
 *
 *   IM1. An exported function throws nothing and returns only a number or a string: the host reads everything else in
 *        shared memory.
 *   IM2. Views of shared memory are made in `boot`, before any code of the author's.
 * @module
 */
import { CodedError } from '../errors.ts'
import type { ErrorPolicy, StateFormat } from '../function.ts'
import type { KeyShare } from '../wire/key-share.ts'
import { checkDefinition } from './callback/definition.ts'
import { LoadedAssets } from './callback/loaded-assets.ts'
import type { Seam } from './callback/seam.ts'
import { Engine } from './engine/engine.ts'
import { ChaCha } from './globals/chacha.ts'
import { installGlobals } from './globals/install.ts'
import { OutcomeWriter, OutputStream } from './outcome/outcome-writer.ts'
import { wordsOf } from './outcome/report.ts'
import { ReportBudget } from './outcome/report-budget.ts'
import { Bytes, copyBytes, fromJson } from './realm/primordials.ts'
import { type Input, inputOf, makeRoom } from './records/record.ts'
import { inputBytes } from './shared/batch.ts'
import { ConsoleRing } from './shared/console-ring.ts'
import { ControlWords } from './shared/control-words.ts'
import { consoleBytes, type LogLevel } from './shared/layout.ts'
import { MetricNames, metricNamesBytes } from './shared/metric-names.ts'
import { TimerAtHand } from './shared/timer-at-hand.ts'
import { StateMemory } from './state/state-memory.ts'

export interface OutputConfig {
  readonly name: string
  readonly partitions: number
  readonly keyed: boolean
}

/** The configuration that the host passes once, as JSON. */
export interface BootConfig {
  readonly function: string
  readonly version: number
  readonly instance: number
  readonly env: Readonly<Record<string, string>>
  readonly args: readonly string[]
  readonly nowMs: number
  readonly logLevel: LogLevel
  readonly policy: ErrorPolicy
  readonly inputs: readonly string[]
  /** See `EngineOptions`. Taps of builds before it existed have none. */
  readonly arenas?: readonly number[]
  readonly outputs: readonly OutputConfig[]
  readonly outputBytesPerRecord: number
  readonly stateBytesMax: number
  /** The version that ran before, in an isolate beside this one. */
  readonly replaces?: number
  /** The assets: by name, the sha256 of the bytes. */
  readonly assets?: Readonly<Record<string, string>>
  /** See `EngineOptions`. */
  readonly onTrial?: boolean
  readonly format?: StateFormat
}

let config: BootConfig
let seam: Seam
/** Each batch has its own stream of random numbers, so that it can be repeated by itself (I6). */
let chacha: ChaCha
/** A batch that is processed in parts (runner/shadow/) continues its stream. */
let lastBatch = 0
let engine: Engine | undefined
let controlWords: ControlWords
let writer: OutcomeWriter
let inputRegion: SharedArrayBuffer
let stateMemory: StateMemory
let assets: LoadedAssets
/** The batch, from shared memory. */
let input: Input
let reports: ReportBudget
let timerAtHand: TimerAtHand

/** Called before the author's code: takes the shared memory and installs the globals. */
export function boot(
  json: string,
  inputMemory: SharedArrayBuffer,
  outcome: SharedArrayBuffer,
  controlMemory: SharedArrayBuffer,
  seed: ArrayBuffer,
): void {
  config = fromJson(json) as BootConfig
  controlWords = new ControlWords(controlMemory)
  const metrics = new MetricNames(inputMemory, inputBytes + consoleBytes)
  writer = new OutcomeWriter(outcome, controlWords, config.outputBytesPerRecord, metrics)
  inputRegion = inputMemory
  timerAtHand = new TimerAtHand(inputMemory, inputBytes + consoleBytes + metricNamesBytes)
  input = inputOf(new ArrayBuffer(0))
  reports = new ReportBudget()
  chacha = new ChaCha(new Uint8Array(seed))
  assets = new LoadedAssets(config.function, config.version)
  const ring = new ConsoleRing(inputMemory, inputBytes, controlWords)
  seam = {
    function: config.function,
    version: config.version,
    instance: config.instance,
    env: Object.freeze(config.env),
    args: Object.freeze(config.args),
    replaces: config.replaces,
    asset: (name) => assets.get(name),
    nowMs: config.nowMs,
    fillRandom: (bytes) => chacha.fill(bytes),
    print: (level, line) => ring.write(level, line, seam.nowMs),
  }
  stateMemory = new StateMemory({ limitBytes: config.stateBytesMax, controlWords, clock: seam })
  installGlobals(globalThis, {
    seam,
    logLevel: config.logLevel,
    random: () => chacha.number(),
    timeouts: () => (engine?.inCallback ? engine.timeouts : undefined),
  })
}

/**
 * Called before the author's code: takes the assets.
 * @param json Their names, each with the index of its content: several names may have the same content.
 */
export function giveAssets(json: string, ...contents: SharedArrayBuffer[]): number {
  return guarded(() => {
    const names = fromJson(json) as [string, number][]
    for (let i = 0; i < names.length; i++) assets.add(names[i]![0], contents[names[i]![1]]!)
  })
}

/**
 * Adds a slab to each of the listed partitions. Before the author's code: the slabs of an isolate that has ended; the
 * host has put its last commit into the control region.
 */
export function giveSlabs(json: string, ...slabs: SharedArrayBuffer[]): number {
  return guarded(() => {
    const partitions = fromJson(json) as number[]
    for (let i = 0; i < slabs.length; i++) stateMemory.add(partitions[i]!, slabs[i]!)
    if (engine === undefined) stateMemory.openAll()
  })
}

/** Between two batches: shrinks arenas without entries to the size of a new one. @param json Their partitions. */
export function shrinkState(json: string): number {
  return guarded(() => {
    const partitions = fromJson(json) as number[]
    for (let i = 0; i < partitions.length; i++) stateMemory.shrink(partitions[i]!)
  })
}

/**
 * Between two batches: gives back slabs that arenas do not use. @param json Partitions, each with the number of slabs
 * to keep.
 */
export function giveBackSlabs(json: string): number {
  return guarded(() => {
    const kept = fromJson(json) as [number, number][]
    for (let i = 0; i < kept.length; i++) stateMemory.shorten(kept[i]![0], kept[i]![1])
  })
}

/** Takes the memory for pages that a checkpoint under way still needs. */
export function giveShadow(memory: SharedArrayBuffer): number {
  return guarded(() => stateMemory.setShadow(memory))
}

/** Takes the default export. @returns Why it is refused, as JSON; or an empty string. */
export function define(exported: unknown): string {
  try {
    engine = new Engine({
      definition: checkDefinition(exported),
      policy: config.policy,
      onTrial: config.onTrial === true,
      format: config.format,
      seam,
      inputs: config.inputs,
      arenas: config.arenas,
      outputs: streams(config.outputs),
      input,
      writer,
      controlWords,
      timerAtHand,
      partitions: stateMemory.partitions(),
      openState: (partition) => stateMemory.open(partition),
      reports,
    })
    return ''
  } catch (thrown) {
    return thrown instanceof CodedError ? thrown.message : wordsOf(thrown)
  }
}

export function lifecycle(callback: 'init' | 'destroy', nowMs: number): number {
  return guarded(() => engine!.lifecycle(callback, nowMs))
}

/**
 * Processes the `frames` frames in the first `bytes` bytes of the input region.
 * @param share The keys that belong to this isolate, as JSON of a KeyShare; undefined: all.
 */
export function run(
  frames: number,
  bytes: number,
  nowMs: number,
  text: string | undefined,
  lines: string | undefined,
  batch: number,
  share?: string,
): number {
  return guarded(() => {
    if (batch !== lastBatch) chacha.begin(batch)
    lastBatch = batch
    makeRoom(input, bytes, inputBytes)
    copyBytes(input.bytes, new Bytes(inputRegion, 0, bytes), 0)
    engine!.run({
      frames,
      nowMs,
      text,
      lines,
      share: share === undefined ? share : (fromJson(share) as KeyShare),
    })
  })
}

export function wake(nowMs: number): number {
  return guarded(() => engine!.wake(nowMs))
}

export function setOutputs(json: string): number {
  return guarded(() => engine!.setOutputs(streams(fromJson(json) as OutputConfig[])))
}

/** @param json The partitions whose state and timers are kept. */
export function keepPartitions(json: string): number {
  return guarded(() => {
    const kept = fromJson(json) as number[]
    engine!.keepPartitions(kept)
    stateMemory.keep(kept)
  })
}

/** Another isolate has the state from now on. */
export function letGo(): number {
  return guarded(() => {
    engine!.letGo()
    stateMemory.close()
  })
}

/**
 * Takes over the state of another isolate: `keepPartitions`, `giveSlabs`, `giveShadow` and `adoptPartitions` in one
 * call.
 */
export function takeOver(
  json: string,
  shadow: SharedArrayBuffer | undefined,
  ...slabs: SharedArrayBuffer[]
): number {
  return guarded(() => {
    const taken = fromJson(json) as { keep?: number[]; slabs: number[]; adopt: number[] }
    if (taken.keep !== undefined) {
      engine!.keepPartitions(taken.keep)
      stateMemory.keep(taken.keep)
    }
    for (let i = 0; i < slabs.length; i++) stateMemory.add(taken.slabs[i]!, slabs[i]!)
    if (shadow !== undefined) stateMemory.setShadow(shadow)
    engine!.adoptPartitions(taken.adopt)
  })
}

/** Between two batches: writes which timer is due first (timer-at-hand.ts). */
export function showTimer(nowMs: number): number {
  return guarded(() => engine!.atTimers(nowMs, (timers) => timers.show(nowMs)))
}

/**
 * Between two batches: sets or deletes a timer without calling anything. If memory is lacking, the control words say
 * how much.
 */
export function changeTimer(
  partition: number,
  key: string,
  timeMs: number,
  isSet: boolean,
  nowMs: number,
): number {
  return guarded(() =>
    engine!.atTimers(nowMs, (timers) => timers.change({ partition, key, timeMs }, isSet, nowMs)),
  )
}

/** From now on only versions that read the format `kept` have entries in the state. */
export function settleFormat(kept: number): number {
  return guarded(() => engine!.settleFormat(kept))
}

export function endTrial(): number {
  return guarded(() => engine!.endTrial())
}

/** @returns 0; or 1 if the runtime broke, because the author's code has removed a built-in that it needs. */
function guarded(call: () => void): number {
  try {
    call()
    return 0
  } catch (thrown) {
    seam.print('error', `The runtime broke: ${wordsOf(thrown)}`)
    return 1
  }
}

function streams(outputs: readonly OutputConfig[]): OutputStream[] {
  return outputs.map(({ name, partitions, keyed }, index) => new OutputStream(name, index, partitions, keyed))
}
