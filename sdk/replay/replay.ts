/**
 * Replay: runs a chapter of a tap again. The same runtime gets the same bytes, times and random numbers, and the
 * results are compared.
 *
 *   RP1. A call that the runner ended early (its time slice) is repeated by giving it only the records that were
 *        done, by calling only as many timers, and by tidying only as much as was tidied then.
 *   RP2. The code runs in a context of Node's `vm`. It can reach nothing of this process except its time; this is no
 *        security boundary.
 *   RP3. A call that never returned in the runner gets some seconds. What it has done by then is its result.
 * Design: docs/design/0019-tap.md
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { type Context, createContext, runInContext } from 'node:vm'
import { entriesOf } from '../runtime/outcome/outcome-reader.ts'
import { readFields } from '../runtime/outcome/report.ts'
import { inputBytes } from '../runtime/shared/batch.ts'
import { readConsole } from '../runtime/shared/console-ring.ts'
import {
  consoleBytes,
  control,
  controlBytes,
  controlFloats,
  inputRowWords,
  outcomeBytes,
  phase,
} from '../runtime/shared/layout.ts'
import { metricNamesBytes } from '../runtime/shared/metric-names.ts'
import { timerAtHandBytes } from '../runtime/shared/timer-at-hand.ts'
import type { RawRecord } from '../wire/frame.ts'
import { effectsCrc } from './effects.ts'
import { recordsDone, type TapChapter, type TapEntry, tapRecords, timersDone } from './tap.ts'

type Runtime = typeof import('../runtime/isolate-main.ts')

export interface ReplayOptions {
  /** The script of the runtime, from `runtimeText()`. */
  readonly runtime: string
  /** A script whose value is the function's definition. */
  readonly definition: string
  /** Bytes of the assets that the function had, by their sha256. */
  readonly assets?: ReadonlyMap<string, Uint8Array>
}

export interface ReplayedOutput extends RawRecord {
  readonly stream: string
  readonly partition: number
}

/** The result of one entry. */
export interface ReplayedCall {
  readonly entry: TapEntry
  readonly outputs: readonly ReplayedOutput[]
  readonly errors: readonly string[]
  readonly console: readonly string[]
  readonly records: number
  readonly timers: number
  /** Calls that were not the first for their record or timer. */
  readonly retries: number
  /** Whether it had the same effects as in the instance (effects.ts); undefined if that is unknown. */
  readonly same: boolean | undefined
  /** It did not return here either (RP3). */
  readonly stopped: boolean
}

export interface Replayed {
  readonly calls: readonly ReplayedCall[]
  /** Each counted once, however often it was tried. */
  readonly records: number
  /** Whether all calls with a known checksum had the same effects. */
  readonly same: boolean
}

/** The time limit of a call that may never end (RP3), in milliseconds. */
export const callMsMax = 10_000
/** Memory for state beyond what the image takes, for each partition. */
const slabBytes = 1024 * 1024

/** @throws {Error} If the code cannot be loaded. */
export async function replay(chapter: TapChapter, options: ReplayOptions): Promise<Replayed> {
  const player = new Player(chapter, options)
  await player.start()
  const calls: ReplayedCall[] = []
  for (const [at, entry] of chapter.entries.entries())
    calls.push(await player.play(entry, recordsDone(chapter.entries, at), timersDone(chapter.entries, at)))
  return { calls, records: differentRecords(chapter, calls), same: calls.every(({ same }) => same !== false) }
}

function differentRecords({ boot }: TapChapter, calls: readonly ReplayedCall[]): number {
  const done = calls.map(({ entry: { kind }, records }) => ({ kind, done: { records } }))
  const given = calls.flatMap(({ entry }, at) =>
    tapRecords(entry, boot.inputs).slice(0, recordsDone(done, at)),
  )
  const names = given.map(({ stream, partition, producer, sequence }) =>
    [stream, partition, producer, sequence].join('/'),
  )
  return new Set(names).size
}

class Player {
  readonly #chapter: TapChapter
  readonly #options: ReplayOptions
  readonly #input = new ArrayBuffer(inputBytes + consoleBytes + metricNamesBytes + timerAtHandBytes)
  readonly #outcome: ArrayBuffer
  readonly #control = new ArrayBuffer(controlBytes)
  readonly #words = new Int32Array(this.#control)
  readonly #floats = new Float64Array(this.#control)
  readonly #partitions = new Set<number>()
  readonly #context = createContext()
  #runtime: Runtime | undefined
  #readTo = 0

  constructor(chapter: TapChapter, options: ReplayOptions) {
    this.#chapter = chapter
    this.#options = options
    this.#outcome = new ArrayBuffer(outcomeBytes(chapter.boot.outputBytesPerRecord))
  }

  async start(): Promise<void> {
    const { boot, seed, state } = this.#chapter
    const context = this.#context
    const runtime = runInContext(this.#options.runtime, context, {
      filename: 'concord-runtime.js',
    }) as Runtime
    this.#runtime = runtime
    const memory = this.#input as unknown as SharedArrayBuffer
    const own = new Uint8Array(Buffer.from(seed, 'base64')).buffer
    runtime.boot(
      JSON.stringify({ ...boot, stateBytesMax: Number.MAX_SAFE_INTEGER }),
      memory,
      this.#outcome as unknown as SharedArrayBuffer,
      this.#control as unknown as SharedArrayBuffer,
      own,
    )
    this.#giveAssets(boot.assets ?? {})
    if (state.kind === 'image')
      this.#give(state.slabs.map(({ partition, bytes }) => ({ partition, slab: sharedCopy(bytes) })))
    const definition: unknown = runInContext(this.#options.definition, context, { filename: 'function.js' })
    const refused = runtime.define(definition)
    if (refused !== '') throw new Error(`Cannot replay: ${refused}`)
    runtime.lifecycle('init', boot.nowMs)
    await setImmediate()
    if (this.#chapter.fromStart) return // later wakes are entries of the tap
    let nowMs = boot.nowMs
    while ((this.#words[control.phase]! & phase.pending) !== 0) {
      const wakeMs = this.#floats[controlFloats.nextWakeMs]!
      if (!Number.isFinite(wakeMs)) throw new Error('Cannot replay: init awaits what nothing will settle')
      nowMs = Math.max(nowMs, wakeMs)
      runtime.wake(nowMs)
      await setImmediate()
    }
  }

  async play(entry: TapEntry, records: number, timers: number): Promise<ReplayedCall> {
    this.#words[control.consoleEnd] = 0
    const tidied = entry.done?.tidied
    this.#words[control.tidiedMost] = tidied === undefined ? 0 : tidied + 1
    const call = () =>
      entry.kind === 'wake' ? this.#runtime!.wake(entry.nowMs) : this.#run(entry, records, timers)
    let stopped = false
    if (entry.done === undefined) stopped = !endsInTime(this.#context, call)
    else call()
    await setImmediate() // Promises of the call settle here, as they do within a call into an isolate.
    return this.#read(entry, stopped)
  }

  #run(
    { input, frames, nowMs, asText, lines, batch, share }: TapEntry & { kind: 'run' },
    records: number,
    timers: number,
  ): void {
    const target = new Uint8Array(this.#input)
    target.set(input)
    const words = new Int32Array(this.#input, 0, inputBytes >> 2)
    let left = records
    for (let row = 0; row < frames * inputRowWords; row += inputRowWords) {
      const head = words[row + 1]! >> 2
      const skip = words[row + 2]!
      const take = Math.min(left, words[head + 7]! - skip)
      words[head + 7] = skip + take
      left -= take
      this.#provide(words[head + 1]! >>> 16)
    }
    this.#words[control.yield] = this.#words[control.timersOver] = 0
    this.#words[control.timersMost] = Math.min(timers, 2 ** 30) + 1
    this.#words[control.published] = 0
    this.#readTo = 0
    const text = asText ? Buffer.from(target.buffer, 0, input.length).toString('latin1') : undefined
    this.#runtime!.run(frames, input.length, nowMs, text, lines, batch, share)
  }

  #provide(partition: number): void {
    if (this.#partitions.has(partition)) return
    this.#partitions.add(partition)
    this.#give([{ partition, slab: new SharedArrayBuffer(slabBytes) }])
  }

  #giveAssets(assets: Readonly<Record<string, string>>): void {
    const contents: SharedArrayBuffer[] = []
    const names = Object.entries(assets).map(([name, sha256]) => {
      const bytes = this.#options.assets?.get(sha256)
      if (bytes === undefined)
        throw new Error(
          `Cannot replay: the function had asset '${name}' (sha256 ${sha256}), which is not here`,
        )
      return [name, contents.push(sharedCopy(bytes)) - 1]
    })
    this.#runtime!.giveAssets(JSON.stringify(names), ...contents)
  }

  #give(slabs: readonly { readonly partition: number; readonly slab: SharedArrayBuffer }[]): void {
    const partitions = JSON.stringify(slabs.map(({ partition }) => partition))
    this.#runtime!.giveSlabs(partitions, ...slabs.map(({ slab }) => slab))
  }

  #read(entry: TapEntry, stopped: boolean): ReplayedCall {
    const to = this.#words[control.published]!
    const log = new Uint8Array(this.#outcome.slice(this.#readTo, to))
    this.#readTo = to
    const outputs: ReplayedOutput[] = []
    const errors: string[] = []
    let records = 0
    let timers = 0
    let retries = 0
    for (const found of entriesOf(log)) {
      if (found.kind === 'output') {
        const stream = this.#chapter.boot.outputs[found.stream]?.name ?? '?'
        outputs.push({ ...found.record, stream, partition: found.partition })
      } else if (found.kind === 'report') {
        const { name, message } = readFields(found.text)
        errors.push(
          `${name}: ${message} (${found.reaction === 'setAside' ? 'to be tried again' : found.reaction})`,
        )
      } else if (found.kind === 'done') {
        if (found.of === 'record') records++
        else timers++
        retries += found.retries
      }
    }
    const { done } = entry
    const end = this.#words[control.consoleEnd]!
    const lines = readConsole(new Uint8Array(this.#input.slice(inputBytes, inputBytes + end)))
    return {
      ...{ entry, outputs, errors, records, timers, retries, stopped },
      console: lines.map(({ line }) => line),
      same: done && done.crc === effectsCrc(log),
    }
  }
}

/** Ends a call that does not return (RP3). Only code that `vm` itself runs can be stopped. */
function endsInTime(context: Context, call: () => void): boolean {
  const global: Record<string, unknown> = context
  global['concordCall'] = call
  try {
    const script = '{ const call = concordCall; delete globalThis.concordCall; call() }'
    runInContext(script, context, { timeout: callMsMax })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false
    throw error
  }
}

function sharedCopy(bytes: Uint8Array): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(bytes.length)
  new Uint8Array(memory).set(bytes)
  return memory
}
