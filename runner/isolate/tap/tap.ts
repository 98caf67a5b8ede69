/**
 * Tap: copies of an isolate's recent inputs, in bounded memory, for a replay (sdk/replay).
 *
 *   TP1. At most `bytesMax` are held, in two chapters of half of it each. Their memory is reused: fresh copies would
 *        age while records wait, and would have to be collected.
 *   TP2. A chapter is complete: it has every call since its beginning, in order; what cannot be recorded ends it.
 *   TP3. A chapter that was filled quickly is followed by a pause, which bounds the cost of copying a second.
 * Design: docs/design/0019-tap.md
 * @module
 */
import { systemClock } from '../../../infra/clock.ts'
import { effectsCrc, type TapEntry, type TapFile, type TapState } from '../../../sdk/replay/index.ts'
import type { BootConfig, Outcome } from '../../../sdk/runtime/index.ts'
import { bootConfigOf } from '../guest/boot-config.ts'
import type { StateStore } from '../state/state-store.ts'
import type { IsolateOptions } from '../types.ts'

/** The least time from the beginning of one chapter to that of the next. */
const chapterMsMin = 50

export interface TapOptions {
  readonly bytesMax: number
  readonly boot: BootConfig
  readonly seed: Uint8Array
  readonly nowMs: () => number
}

/** The contents of a tap. */
export type Tapped = Pick<TapFile, 'chapters' | 'missed'>

/** The inputs of a call. */
export interface TapSource {
  /** The input region, whole. */
  readonly input: Uint8Array
  /** The state, consistent before a call. */
  readonly state: () => Pick<StateStore, 'all' | 'heldBytes'>
}

/**
 * The tap of an instance, if it should have one.
 * @param inputs The input streams, in the order of a batch's table.
 */
export function tapOf(
  options: IsolateOptions,
  inputs: readonly string[],
  { inputView: input }: { readonly inputView: Uint8Array },
  state: TapSource['state'],
): Tap | undefined {
  const { tapBytes = 0, seed, clock = systemClock } = options
  if (tapBytes === 0) return undefined
  const boot = bootConfigOf(options, inputs)
  return new Tap({ bytesMax: tapBytes, seed, boot, nowMs: () => clock.monotonicMs() }, { input, state })
}

interface Chapter {
  readonly beganMs: number
  readonly fromStart: boolean
  readonly boot: BootConfig
  state: TapState
  readonly entries: TapEntry[]
  /** The memory of its copies, one after another. Undefined until the first: an idle instance needs none. */
  block: Uint8Array<ArrayBuffer> | undefined
  blockUsed: number
  bytes: number
}

const entryBytes = 100

export class Tap {
  readonly #options: TapOptions
  readonly #source: TapSource
  readonly #chapterBytes: number
  #boot: BootConfig
  #missed = 0
  #chapters: Chapter[] = []
  /** The chapter being written; none during a pause. */
  #open: Chapter | undefined
  #last: { -readonly [K in keyof TapEntry]: TapEntry[K] } | undefined

  constructor(options: TapOptions, source: TapSource) {
    this.#options = options
    this.#source = source
    this.#boot = options.boot
    this.#chapterBytes = options.bytesMax / 2
    this.#begin(true)
  }

  /** Records a call of the runtime, before it is made. */
  call(entry: string, args: readonly unknown[]): void {
    this.#last = undefined
    if (entry === 'run') this.#run(args as unknown as RunArguments)
    else if (entry === 'wake') this.#add({ kind: 'wake', nowMs: args[0] as number }, 0)
    else if (entry !== 'lifecycle') this.#end()
  }

  /** Records the result of the call. @param log The published log. @param fatal Why it did not return. */
  result(
    { records, timers, tidied, reports }: Outcome,
    log: Uint8Array<ArrayBuffer>,
    fatal: Error | undefined,
  ): void {
    const entry = this.#last
    if (entry === undefined) return
    this.#last = undefined
    if (fatal !== undefined) return
    const ended = reports.some(({ reaction }) => reaction === 'fail')
    entry.done = { records, timers, tidied, crc: effectsCrc(log), ...(ended ? { ended } : {}) }
  }

  /** Notes a change of what the isolate was started with: the next chapter starts with it (TP2). */
  change(changed: Partial<BootConfig>): void {
    this.#boot = { ...this.#boot, ...changed }
    this.#end()
  }

  /** The chapters, the older first. */
  read(): Tapped {
    const filled = this.#chapters.filter(({ entries }) => entries.length > 0)
    const chapters = filled.map(({ fromStart, boot, state, entries }) => ({
      fromStart,
      boot,
      seed: Buffer.from(this.#options.seed).toString('base64'),
      state: copyOfState(state),
      entries: entries.map((entry) =>
        entry.kind === 'run' ? { ...entry, input: entry.input.slice() } : { ...entry },
      ),
    }))
    return { chapters, ...(this.#missed > 0 && { missed: this.#missed }) }
  }

  #run([frames, bytes, nowMs, text, lines, batch, share]: RunArguments): void {
    if (bytes > this.#chapterBytes) this.#missed += 1
    if (this.#open === undefined || this.#open.bytes + bytes > this.#chapterBytes) {
      this.#end()
      const began = this.#chapters.at(-1)?.beganMs ?? Number.NEGATIVE_INFINITY
      if (this.#options.nowMs() - began < chapterMsMin || bytes > this.#chapterBytes) return
      this.#begin(false)
    }
    const chapter = this.#open!
    if (!hasRoom(chapter, this.#chapterBytes, bytes)) return this.#end()
    const input = this.#keep(chapter, this.#source.input.subarray(0, bytes))
    this.#add({ kind: 'run', nowMs, batch, frames, input, asText: text !== undefined, lines, share }, bytes)
  }

  #add(entry: TapEntry, bytes: number): void {
    const chapter = this.#open
    if (chapter === undefined) return
    if (!hasRoom(chapter, this.#chapterBytes, bytes)) return this.#end()
    chapter.bytes += bytes + entryBytes
    chapter.entries.push(entry)
    this.#last = entry
  }

  #begin(fromStart: boolean): void {
    const beganMs = fromStart ? Number.NEGATIVE_INFINITY : this.#options.nowMs()
    const dropped = this.#chapters.length > 1 ? this.#chapters.shift() : undefined
    const chapter: Chapter = {
      ...{ beganMs, fromStart, boot: this.#boot, state: { kind: 'empty' }, entries: [], bytes: 0 },
      ...{ block: dropped?.block, blockUsed: 0 },
    }
    chapter.state = this.#image(chapter)
    chapter.bytes = chapter.blockUsed
    this.#open = chapter
    this.#chapters.push(chapter)
  }

  /** A copy of the state, if there is room for it. */
  #image(chapter: Chapter): TapState {
    const state = this.#source.state()
    const { heldBytes } = state
    if (heldBytes === 0) return { kind: 'empty' }
    if (heldBytes > this.#chapterBytes / 2) return { kind: 'tooLarge', bytes: heldBytes }
    const copyOf = (slab: SharedArrayBuffer): Uint8Array => this.#keep(chapter, new Uint8Array(slab))
    return {
      kind: 'image',
      slabs: state.all().map(({ partition, slab }) => ({ partition, bytes: copyOf(slab) })),
    }
  }

  /** Copies bytes into the chapter's memory. */
  #keep(chapter: Chapter, bytes: Uint8Array): Uint8Array {
    chapter.block ??= new Uint8Array(this.#chapterBytes)
    const from = chapter.blockUsed
    chapter.blockUsed += bytes.length
    chapter.block.set(bytes, from)
    return chapter.block.subarray(from, chapter.blockUsed)
  }

  #end(): void {
    this.#open = undefined
  }
}

function hasRoom({ bytes }: Chapter, bytesMax: number, more: number): boolean {
  return bytes + more + entryBytes <= bytesMax
}

/** Copies the state into new memory. */
function copyOfState(state: TapState): TapState {
  if (state.kind !== 'image') return state
  return {
    kind: 'image',
    slabs: state.slabs.map(({ partition, bytes }) => ({ partition, bytes: bytes.slice() })),
  }
}

type RunArguments = readonly [
  frames: number,
  bytes: number,
  nowMs: number,
  text: string | undefined,
  lines: string | undefined,
  batch: number,
  share: string | undefined,
]
