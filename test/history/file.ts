/**
 * File: histories as files: read in pieces, so that any size needs little memory; written with ranges joined.
 * @module
 */
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import {
  type Effect,
  type Header,
  HistoryError,
  type HistoryEvent,
  historyVersion,
  parseEvent,
  parseHeader,
  type Range,
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

/** Joins each event with the one before it where one says the same as both: the next records of the same channel. */
export class HistoryJoiner {
  #last: HistoryEvent | undefined
  readonly #emit: (event: HistoryEvent) => void

  constructor(emit: (event: HistoryEvent) => void) {
    this.#emit = emit
  }

  add(event: HistoryEvent): void {
    const last = this.#last
    if (last !== undefined && 'count' in last && 'count' in event && isNext(last, event)) {
      this.#last = joined(last, event)
      return
    }
    this.flush()
    this.#last = event
  }

  flush(): void {
    if (this.#last !== undefined) this.#emit(this.#last)
    this.#last = undefined
  }
}

/** Any field that an event about records may have. */
type Records = Range &
  Partial<Pick<Effect, 'consumer' | 'owner' | 'epoch' | 'ticks' | 'isolate' | 'after' | 'timer'>> & {
    readonly event: string
    readonly reason?: string
  }

function isNext(a: Records, b: Records): boolean {
  return (
    b.from === a.from + a.count &&
    b.event === a.event &&
    b.partition === a.partition &&
    b.producer === a.producer &&
    b.stream === a.stream &&
    b.consumer === a.consumer &&
    b.owner === a.owner &&
    b.epoch === a.epoch &&
    b.reason === a.reason &&
    b.timer === a.timer &&
    b.isolate === a.isolate &&
    (a.ticks === undefined ? b.ticks === undefined : b.ticks?.[0] === a.ticks[1] + 1) &&
    (a.after === undefined ? b.after === undefined : b.after === b.from - 1)
  )
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

function joined<T extends HistoryEvent & Records>(a: T, b: Records): T {
  const ticks = a.ticks && b.ticks && { ticks: [a.ticks[0], b.ticks[1]] as const }
  return { ...a, ...ticks, count: a.count + b.count }
}
