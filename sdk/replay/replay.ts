/**
 * Replay: runs a chapter of a tap again: the same runtime, given the same bytes, times and chance, and compares what comes.
 *
 *   RP1. What ends a call early in a runner (its time slice) is repeated by giving it only the records that were done.
 *   RP2. The code runs in a context of `vm`, with nothing of this process in reach but time: it is no wall.
 * Design: docs/design/0019-tap.md
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { createContext, runInContext } from 'node:vm'
import type { RawRecord } from '../frame.ts'
import { inputBytes } from '../runtime/batch.ts'
import { readConsole } from '../runtime/console-ring.ts'
import {
  consoleBytes,
  control,
  controlBytes,
  controlFloats,
  inputRowWords,
  outcomeBytes,
  phase,
} from '../runtime/layout.ts'
import { metricNamesBytes } from '../runtime/metric-names.ts'
import { entriesOf } from '../runtime/outcome-reader.ts'
import { readFields } from '../runtime/report.ts'
import type { TapChapter, TapEntry } from '../tap.ts'
import { effectsCrc } from './effects.ts'

type Runtime = typeof import('../runtime/isolate-main.ts')

export interface ReplayOptions {
  /** `runtimeText()`. */
  readonly runtime: string
  /** A script whose value is the function's definition. */
  readonly definition: string
}

export interface ReplayedOutput extends RawRecord {
  readonly stream: string
  readonly partition: number
}

/** What came of an entry. */
export interface ReplayedCall {
  readonly entry: TapEntry
  readonly outputs: readonly ReplayedOutput[]
  readonly errors: readonly string[]
  readonly console: readonly string[]
  readonly records: number
  readonly timers: number
  /** Whether its outcome log is that of the instance, byte for byte; undefined where that is not known. */
  readonly same: boolean | undefined
}

export interface Replayed {
  readonly calls: readonly ReplayedCall[]
  /** Of all calls of which it is known. */
  readonly same: boolean
}

/** Room for state beside what the image has, a partition. */
const slabBytes = 1024 * 1024

/** @throws {Error} If the code cannot be loaded. */
export async function replay(chapter: TapChapter, options: ReplayOptions): Promise<Replayed> {
  const player = new Player(chapter, options)
  await player.start()
  const calls: ReplayedCall[] = []
  for (const [at, entry] of chapter.entries.entries())
    calls.push(await player.play(entry, recordsOf(chapter.entries, at)))
  return { calls, same: calls.every(({ same }) => same !== false) }
}

/** Records that a `run` did, with the wakes that belong to it; infinite if it never came back. */
function recordsOf(entries: readonly TapEntry[], at: number): number {
  let records = 0
  for (const [i, { kind, done }] of entries.slice(at).entries()) {
    if (kind === 'run' && i > 0) break
    records += done === undefined || done.ended ? Number.POSITIVE_INFINITY : done.records
  }
  return records
}

class Player {
  readonly #chapter: TapChapter
  readonly #options: ReplayOptions
  readonly #input = new ArrayBuffer(inputBytes + consoleBytes + metricNamesBytes)
  readonly #outcome: ArrayBuffer
  readonly #control = new ArrayBuffer(controlBytes)
  readonly #words = new Int32Array(this.#control)
  readonly #floats = new Float64Array(this.#control)
  readonly #partitions = new Set<number>()
  #runtime: Runtime | undefined
  #readTo = 0

  constructor(chapter: TapChapter, options: ReplayOptions) {
    this.#chapter = chapter
    this.#options = options
    this.#outcome = new ArrayBuffer(outcomeBytes(chapter.boot.outputBytesPerRecord))
  }

  async start(): Promise<void> {
    const { boot, seed, state } = this.#chapter
    const context = createContext()
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
    if (state.kind === 'image')
      this.#give(state.slabs.map(({ partition, bytes }) => ({ partition, slab: sharedCopy(bytes) })))
    const definition: unknown = runInContext(this.#options.definition, context, { filename: 'function.js' })
    const refused = runtime.define(definition)
    if (refused !== '') throw new Error(`Cannot replay: ${refused}`)
    runtime.lifecycle('init', boot.nowMs)
    await setImmediate()
    if (this.#chapter.fromStart) return // its wakes are entries
    let nowMs = boot.nowMs
    while ((this.#words[control.phase]! & phase.pending) !== 0) {
      const wakeMs = this.#floats[controlFloats.nextWakeMs]!
      if (!Number.isFinite(wakeMs)) throw new Error('Cannot replay: init awaits what nothing will settle')
      nowMs = Math.max(nowMs, wakeMs)
      runtime.wake(nowMs)
      await setImmediate()
    }
  }

  async play(entry: TapEntry, records: number): Promise<ReplayedCall> {
    this.#words[control.consoleEnd] = 0
    if (entry.kind === 'wake') this.#runtime!.wake(entry.nowMs)
    else this.#run(entry, records)
    await setImmediate() // what the call has set going settles, as it does within a call into an isolate
    return this.#read(entry)
  }

  #run({ input, frames, nowMs, asText, lines, batch }: TapEntry & { kind: 'run' }, records: number): void {
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
    this.#words[control.yield] = 0
    this.#words[control.published] = 0
    this.#readTo = 0
    const text = asText ? Buffer.from(target.buffer, 0, input.length).toString('latin1') : undefined
    this.#runtime!.run(frames, input.length, nowMs, text, lines, batch)
  }

  #provide(partition: number): void {
    if (this.#partitions.has(partition)) return
    this.#partitions.add(partition)
    this.#give([{ partition, slab: new SharedArrayBuffer(slabBytes) }])
  }

  #give(slabs: readonly { readonly partition: number; readonly slab: SharedArrayBuffer }[]): void {
    const partitions = JSON.stringify(slabs.map(({ partition }) => partition))
    this.#runtime!.giveSlabs(partitions, ...slabs.map(({ slab }) => slab))
  }

  #read(entry: TapEntry): ReplayedCall {
    const to = this.#words[control.published]!
    const log = new Uint8Array(this.#outcome.slice(this.#readTo, to))
    this.#readTo = to
    const outputs: ReplayedOutput[] = []
    const errors: string[] = []
    let records = 0
    let timers = 0
    for (const found of entriesOf(log)) {
      if (found.kind === 'output') {
        const stream = this.#chapter.boot.outputs[found.stream]?.name ?? '?'
        outputs.push({ ...found.record, stream, partition: found.partition })
      } else if (found.kind === 'report') {
        const { name, message } = readFields(found.text)
        errors.push(`${name}: ${message} (${found.reaction})`)
      } else if (found.kind === 'done') {
        if (found.of === 'record') records++
        else timers++
      }
    }
    const { done } = entry
    const end = this.#words[control.consoleEnd]!
    const lines = readConsole(new Uint8Array(this.#input.slice(inputBytes, inputBytes + end)))
    return {
      ...{ entry, outputs, errors, records, timers },
      console: lines.map(({ line }) => line),
      same: done && done.crc === effectsCrc(log),
    }
  }
}

function sharedCopy(bytes: Uint8Array): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(bytes.length)
  new Uint8Array(memory).set(bytes)
  return memory
}
