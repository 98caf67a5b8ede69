/**
 * The runtime's entry inside an isolate. runner/isolate bundles it, evaluates it before any code of the author's, and
 * calls what it exports; nothing else of it can be reached from that code.
 *
 *   IM1. Nothing is thrown out of an exported function and nothing but a number or a string is answered: the host reads
 *        the rest in shared memory.
 *   IM2. Views of shared memory are made in `boot`, before any code of the author's.
 * @module
 */
import { CodedError } from '../errors.ts'
import type { ErrorPolicy, StateFormat } from '../function.ts'
import type { KeyShare } from '../wire/key-share.ts'
import { AssetShelf } from './callback/asset-shelf.ts'
import { checkDefinition } from './callback/definition.ts'
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
import { Board } from './shared/board.ts'
import { ConsoleRing } from './shared/console-ring.ts'
import { consoleBytes, type LogLevel } from './shared/layout.ts'
import { MetricNames, metricNamesBytes } from './shared/metric-names.ts'
import { TimerAtHand } from './shared/timer-at-hand.ts'
import { StateMemory } from './state/state-memory.ts'

export interface OutputConfig {
  readonly name: string
  readonly partitions: number
  readonly keyed: boolean
}

/** What the host says once, as JSON. */
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
  /** See `EngineOptions`; a tap from before it has none. */
  readonly arenas?: readonly number[]
  readonly outputs: readonly OutputConfig[]
  readonly outputBytesPerRecord: number
  readonly stateBytesMax: number
  /** The version that ran before, in an isolate beside this one. */
  readonly replaces?: number
  /** Files beside the bundle: by name, the sha256 of the bytes. */
  readonly assets?: Readonly<Record<string, string>>
  /** See `EngineOptions`. */
  readonly onTrial?: boolean
  readonly format?: StateFormat
}

let config: BootConfig
let seam: Seam
/** Each batch has a stream of its own, so that it can be run again by itself (I6). */
let chacha: ChaCha
/** A batch that is given in parts (runner/shadow/) draws on where it was. */
let lastBatch = 0
let engine: Engine | undefined
let board: Board
let writer: OutcomeWriter
let inputRegion: SharedArrayBuffer
let stateMemory: StateMemory
let assets: AssetShelf
/** The batch, out of shared memory. */
let input: Input
let reports: ReportBudget
let timerAtHand: TimerAtHand

/** Before the author's code: keeps the regions and installs the globals. */
export function boot(
  json: string,
  inputMemory: SharedArrayBuffer,
  outcome: SharedArrayBuffer,
  controlMemory: SharedArrayBuffer,
  seed: ArrayBuffer,
): void {
  config = fromJson(json) as BootConfig
  board = new Board(controlMemory)
  const metrics = new MetricNames(inputMemory, inputBytes + consoleBytes)
  writer = new OutcomeWriter(outcome, board, config.outputBytesPerRecord, metrics)
  inputRegion = inputMemory
  timerAtHand = new TimerAtHand(inputMemory, inputBytes + consoleBytes + metricNamesBytes)
  input = inputOf(new ArrayBuffer(0))
  reports = new ReportBudget()
  chacha = new ChaCha(new Uint8Array(seed))
  assets = new AssetShelf(config.function, config.version)
  const ring = new ConsoleRing(inputMemory, inputBytes, board)
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
  stateMemory = new StateMemory({ limitBytes: config.stateBytesMax, board, clock: seam })
  installGlobals(globalThis, {
    seam,
    logLevel: config.logLevel,
    random: () => chacha.number(),
    timeouts: () => (engine?.inCallback ? engine.timeouts : undefined),
  })
}

/**
 * Before the author's code: takes the assets.
 * @param json Their names, each with which of the contents it has: several may have one.
 */
export function giveAssets(json: string, ...contents: SharedArrayBuffer[]): number {
  return guarded(() => {
    const names = fromJson(json) as [string, number][]
    for (let i = 0; i < names.length; i++) assets.add(names[i]![0], contents[names[i]![1]]!)
  })
}

/**
 * Takes the next slabs, each of the partition in the same place of the list. Before the author's code: those of an
 * isolate that has ended, whose last commit the host has put into the control region.
 */
export function giveSlabs(json: string, ...slabs: SharedArrayBuffer[]): number {
  return guarded(() => {
    const partitions = fromJson(json) as number[]
    for (let i = 0; i < slabs.length; i++) stateMemory.add(partitions[i]!, slabs[i]!)
    if (engine === undefined) stateMemory.openAll()
  })
}

/** Between two batches: arenas without entries use no more than a new one. @param json Their partitions. */
export function shrinkState(json: string): number {
  return guarded(() => {
    const partitions = fromJson(json) as number[]
    for (let i = 0; i < partitions.length; i++) stateMemory.shrink(partitions[i]!)
  })
}

/** Between two batches: gives back slabs that arenas do not use. @param json Partitions, each with how many slabs it keeps. */
export function giveBackSlabs(json: string): number {
  return guarded(() => {
    const kept = fromJson(json) as [number, number][]
    for (let i = 0; i < kept.length; i++) stateMemory.shorten(kept[i]![0], kept[i]![1])
  })
}

/** Takes what pages are kept in that a checkpoint under way still needs. */
export function giveShadow(memory: SharedArrayBuffer): number {
  return guarded(() => stateMemory.setShadow(memory))
}

/** Takes the default export. @returns JSON of why it is refused, or the empty string. */
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
      board,
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
 * Processes the `frames` frames that take the first `bytes` bytes of the input region.
 * @param share Whose of them, as JSON of a KeyShare; undefined: all.
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

/** @param json The partitions whose state and timers stay. */
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

/** Takes over what another isolate has let go of: `keepPartitions`, `giveSlabs`, `giveShadow` and `adoptPartitions` in one. */
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

/** Between two batches: says which timer is due first (timer-at-hand.ts). */
export function showTimer(nowMs: number): number {
  return guarded(() => engine!.atTimers(nowMs, (desk) => desk.show(nowMs)))
}

/** Between two batches: sets a timer, or takes one out, of which nothing is called. Where it finds no room it says what it lacks. */
export function changeTimer(
  partition: number,
  key: string,
  timeMs: number,
  isSet: boolean,
  nowMs: number,
): number {
  return guarded(() =>
    engine!.atTimers(nowMs, (desk) => desk.change({ partition, key, timeMs }, isSet, nowMs)),
  )
}

/** No other version has anything in the state any more, but those that read the format `kept`. */
export function settleFormat(kept: number): number {
  return guarded(() => engine!.settleFormat(kept))
}

export function endTrial(): number {
  return guarded(() => engine!.endTrial())
}

/** @returns 0, or 1 if the runtime broke: the author's code has taken away a built-in that it stands on. */
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
