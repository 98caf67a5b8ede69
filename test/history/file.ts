/**
 * Histories as files: read in pieces, so that a history of any size needs little memory; written with ranges joined.
 * @module
 */
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import {
  type Header,
  HistoryError,
  type HistoryEvent,
  historyVersion,
  parseEvent,
  parseHeader,
} from './event.ts'

const chunkBytes = 1024 * 1024

export interface HistoryFile {
  readonly header: Header
  /** Reads the file from its start, each time anew. */
  events(): Iterable<HistoryEvent>
}

/** @throws {HistoryError} with the line at fault; those of the events when they are read. */
export function openHistory(path: string): HistoryFile {
  const [first] = linesOf(path)
  const header = located(path, 1, () => parseHeader(first ?? ''))
  return {
    header,
    *events() {
      let number = 0
      for (const line of linesOf(path)) {
        number += 1
        if (number > 1 && line !== '') yield located(path, number, () => parseEvent(line))
      }
    },
  }
}

function located<T>(path: string, number: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof HistoryError)) throw error
    throw new HistoryError(`Cannot read line ${number} of ${path}: ${error.message}`)
  }
}

function* linesOf(path: string): Generator<string> {
  const file = openSync(path, 'r')
  const chunk = Buffer.allocUnsafe(chunkBytes)
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (let bytes = readSync(file, chunk); bytes > 0; bytes = readSync(file, chunk)) {
      const lines = (rest + decoder.decode(chunk.subarray(0, bytes), { stream: true })).split('\n')
      rest = lines.pop()!
      yield* lines
    }
    if (rest !== '') yield rest
  } finally {
    closeSync(file)
  }
}

/** Joins each event with the one before it where that says the same in one: the next records of the same channel. */
export class HistoryJoiner {
  #last: HistoryEvent | undefined
  readonly #emit: (event: HistoryEvent) => void

  constructor(emit: (event: HistoryEvent) => void) {
    this.#emit = emit
  }

  add(event: HistoryEvent): void {
    const joined = this.#last === undefined ? undefined : join(this.#last, event)
    if (joined === undefined) this.flush()
    this.#last = joined ?? event
  }

  flush(): void {
    if (this.#last !== undefined) this.#emit(this.#last)
    this.#last = undefined
  }
}

function join(before: HistoryEvent, event: HistoryEvent): HistoryEvent | undefined {
  if (!('count' in before) || !('count' in event) || before.event !== event.event) return undefined
  const { from: _f, count: _c, ticks, after, ...same } = { ticks: undefined, after: undefined, ...event }
  for (const [field, value] of Object.entries(same)) if (before[field as 'stream'] !== value) return undefined
  if (event.from !== before.from + before.count) return undefined
  const earlier = { ticks: undefined, after: undefined, ...before }
  if ((ticks === undefined) !== (earlier.ticks === undefined)) return undefined
  if (ticks !== undefined && ticks[0] !== earlier.ticks![1] + 1) return undefined
  if ((after === undefined) !== (earlier.after === undefined)) return undefined
  if (after !== undefined && after !== event.from - 1) return undefined
  return {
    ...before,
    count: before.count + event.count,
    ...(ticks === undefined ? {} : { ticks: [earlier.ticks![0], ticks[1]] }),
  } as HistoryEvent
}

/** Writes a history to a file, a piece at a time. */
export class HistoryWriter {
  readonly #file: number
  readonly #joiner = new HistoryJoiner((event) => this.#put(event))
  #text: string

  constructor(path: string, complete: Header['complete']) {
    this.#file = openSync(path, 'w')
    this.#text = `${JSON.stringify({ history: historyVersion, complete })}\n`
  }

  add(event: HistoryEvent): void {
    this.#joiner.add(event)
  }

  close(): void {
    this.#joiner.flush()
    writeFileSync(this.#file, this.#text)
    closeSync(this.#file)
  }

  #put(event: HistoryEvent): void {
    this.#text += `${JSON.stringify(event)}\n`
    if (this.#text.length < chunkBytes) return
    writeFileSync(this.#file, this.#text)
    this.#text = ''
  }
}
