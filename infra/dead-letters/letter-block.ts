/**
 * LetterBlock: letters of one version of a function, written as they come, to be taken as messages of JetStream.
 *
 * A flood has thousands of letters a second, so a letter is copied once, from its frame to its row, and makes no objects.
 *
 *   LK1. Letters lie in the order in which they were added, and no message is larger than NATS accepts: if need be, the texts of
 *        errors are cut.
 *   LK2. Nothing given to `add` is used after it but errors, places and timers, which do not change.
 *   LK3. A block has about as much memory as its letters need: a runner may have one for each of a hundred functions.
 * Layout: message.ts
 * @module
 */
import { recordEnd } from '../../sdk/wire/frame.ts'
import { jsonBytes } from '../json.ts'
import { Distinct } from './distinct.ts'
import { aroundMessage, type Head, isAlike, keyOf } from './head.ts'
import type { LetterError, LetterPlace, NewLetter } from './letter.ts'
import { asBefore, magic, prefixBytes, rowBytes, versionNow } from './message.ts'

/** NATS's default bound is 1 MiB, headers included. */
const messageBytesMax = 1024 * 1024 - 512
/** Aimed at: a message is read whole to show one of its letters. */
const messageBytesAimed = 256 * 1024
/** Also how many subjects a function's letters have: the last part of a subject counts them. */
export const lettersPerMessageMax = 256

/** Lengths to which the texts of errors are cut until a message fits. */
const cuts = [Number.POSITIVE_INFINITY, 1024, 128, 16]
/** Room that a letter beside its record may take, but for texts that are cut. */
const textBytesMax = 64 * 1024
const messageCut = 128
const utf8BytesMax = 3

/** `target` gets bytes of `source`: without a view of them. */
const copyBytes: (source: Uint8Array, target: Uint8Array, at: number, from: number, to: number) => number =
  Function.prototype.call.bind(Buffer.prototype.copy)

const rowsBytesMin = 4 * 1024
/** Memory for rows that no block uses any more, for the next one. */
let spare: Buffer<ArrayBuffer> | undefined
const spareBytesMax = 64 * 1024

/** A message with so many letters. */
export interface LetterMessage {
  readonly bytes: Uint8Array
  readonly count: number
}

export class LetterBlock {
  readonly #function: string
  readonly #version: number
  #rows: Buffer<ArrayBuffer>
  #view: DataView
  #end = 0
  #count = 0
  #errors = distinctErrors()
  #places = distinctPlaces()
  #timers: NonNullable<Head['timers']> = []
  /** Of the letter before. */
  #message: string | undefined
  #messages: LetterMessage[] = []
  #messageBytes = 0

  constructor(functionName: string, version: number) {
    this.#function = functionName
    this.#version = version
    this.#rows = spare ?? Buffer.alloc(rowsBytesMin)
    this.#view = viewOf(this.#rows)
    spare = undefined
  }

  /** Of all letters, but for what they have in common. */
  get bytes(): number {
    return this.#messageBytes + this.#end
  }

  /** Whether it has a message to which no letter is added any more. */
  get isFull(): boolean {
    return this.#messages.length > 0 || this.#count >= lettersPerMessageMax || this.#end >= messageBytesAimed
  }

  add(letter: NewLetter): void {
    const { bytes, at, timer, error } = letter
    const recordBytes = recordEnd(bytes, at) - at
    const isTight = recordBytes > messageBytesMax - textBytesMax
    const message = isTight ? error.message.slice(0, messageCut) : error.message
    const most = rowBytes + recordBytes + utf8BytesMax * message.length
    if (this.#count >= lettersPerMessageMax || (this.#count > 0 && this.#end + most > messageBytesAimed))
      this.#seal()
    this.#makeRoom(most)
    if (timer !== undefined) this.#timers.push({ letter: this.#count, ...timer })
    const [row, view] = [this.#end, this.#view]
    const recordAt = row + rowBytes
    copyBytes(bytes, this.#rows, recordAt, at, at + recordBytes)
    const messageAt = recordAt + recordBytes
    const isRepeated = message === this.#message
    const messageBytes = isRepeated ? 0 : this.#rows.write(message, messageAt)
    this.#message = message
    view.setUint16(row, this.#places.indexOf(letter), true)
    view.setUint16(row + 2, this.#errors.indexOf(error), true)
    view.setUint32(row + 4, letter.attempts, true)
    view.setFloat64(row + 8, letter.sequence, true)
    view.setFloat64(row + 16, letter.failedAtMs, true)
    view.setUint32(row + 24, isRepeated ? asBefore : messageBytes, true)
    this.#end = messageAt + messageBytes
    this.#count += 1
  }

  /** Ends it. @returns All letters. */
  take(): readonly LetterMessage[] {
    if (this.#count > 0) this.#seal()
    keep(this.#rows)
    return this.#messages
  }

  #makeRoom(bytes: number): void {
    const needed = this.#end + bytes
    if (needed <= this.#rows.length) return
    const more = Buffer.alloc(needed > spareBytesMax ? 2 * needed : Math.min(2 * needed, spareBytesMax))
    this.#rows.copy(more, 0, 0, this.#end)
    keep(this.#rows)
    this.#rows = more
    this.#view = viewOf(more)
  }

  #seal(): void {
    const [end, count] = [this.#end, this.#count]
    let head = new Uint8Array(0)
    for (const cut of cuts) {
      head = jsonBytes(this.#head(cut))
      if (prefixBytes + head.length + end <= messageBytesMax) break
    }
    const bytes = new Uint8Array(prefixBytes + head.length + end)
    const view = new DataView(bytes.buffer)
    view.setUint8(0, magic)
    view.setUint8(1, versionNow)
    view.setUint32(4, head.length, true)
    bytes.set(head, prefixBytes)
    copyBytes(this.#rows, bytes, prefixBytes + head.length, 0, end)
    this.#messages.push({ bytes, count })
    this.#messageBytes += end
    this.#end = this.#count = 0
    this.#errors = distinctErrors()
    this.#places = distinctPlaces()
    this.#timers = []
    this.#message = undefined
  }

  #head(cut: number): Head {
    return {
      function: this.#function,
      version: this.#version,
      letters: this.#count,
      errors: this.#errors.all.map((error) => entryOf(error, cut)),
      places: this.#places.all.map(({ stream, partition, producer }) => ({ stream, partition, producer })),
      ...(this.#timers.length > 0 && { timers: this.#timers }),
    }
  }
}

/** Keeps memory that no block uses any more, unless it is too much, or less than is kept. */
function keep(rows: Buffer<ArrayBuffer>): void {
  if (rows.length <= spareBytesMax && rows.length > (spare?.length ?? 0)) spare = rows
}

function viewOf({ buffer, byteOffset, length }: Buffer<ArrayBuffer>): DataView {
  return new DataView(buffer, byteOffset, length)
}

function distinctErrors(): Distinct<LetterError> {
  return new Distinct(isAlike, keyOf)
}

function distinctPlaces(): Distinct<LetterPlace> {
  return new Distinct(
    (a, b) => a.partition === b.partition && a.producer === b.producer && a.stream === b.stream,
    ({ partition, producer, stream }) => JSON.stringify([partition, producer, stream]),
  )
}

function entryOf(error: LetterError, cut: number): Head['errors'][number] {
  const { title, stack } = aroundMessage(error)
  return {
    name: error.name,
    stack: stack.slice(0, cut),
    ...(title !== undefined && { title: title.slice(0, cut) }),
    ...(error.at !== undefined && { at: error.at }),
  }
}
