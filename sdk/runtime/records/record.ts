/**
 * Record: the current record as a callback sees it, and the cursor that points to it.
 *
 * One cursor walks through a frame's records in private memory; only what the callback requests is created. In a
 * synchronous function all records are the same RecordView object (measured: docs/design/0004-batch-path.md).
 * @module
 */

import type { StreamRecord } from '../../function.ts'
import { recordBytes, recordHeaderBytes } from '../../wire/frame.ts'
import { runtimeError } from '../errors.ts'
import { Bytes, fromJson, lengthOf, Memory, Words } from '../realm/primordials.ts'
import { utf8Read } from '../realm/utf8.ts'

const two32 = 2 ** 32

const inputBytesMin = 64 * 1024

/** The batch in private memory. */
export interface Input {
  readonly memory: ArrayBuffer
  readonly words: Int32Array
  readonly bytes: Uint8Array
}

export function inputOf(memory: ArrayBuffer): Input {
  return { memory, words: new Words(memory), bytes: new Bytes(memory) }
}

/** Makes room for a batch. An instance with small batches, or none, keeps no memory for large ones. */
export function makeRoom(input: Input, bytes: number, bytesMax: number): void {
  if (bytes <= lengthOf(input.bytes)) return
  let size = inputBytesMin
  while (size < bytes) size *= 2
  const { memory, words, bytes: all } = inputOf(new Memory(size < bytesMax ? size : bytesMax))
  const its = input as { -readonly [K in keyof Input]: Input[K] }
  its.memory = memory
  its.words = words
  its.bytes = all
}

/** The position of the current record. */
export class Cursor {
  readonly input: Input
  /** The batch as one latin1 string, if the host passed it; offsets are the same as in memory. */
  text: string | undefined
  /** Whether the text of any record was requested. */
  textAsked = false
  stream = ''
  partition = 0
  /** The number of the arena that the frame's records use. */
  arena = 0
  /** The offsets of the current record and of the next. */
  at = 0
  next = 0
  keyAt = 0
  valueAt = 0
  valueEnd = 0
  /** The views of the current record. */
  key: Uint8Array<ArrayBuffer> | undefined
  value: Uint8Array<ArrayBuffer> | undefined
  /** False after the end of the callback. */
  live = false

  constructor(input: Input) {
    this.input = input
  }

  /** Another cursor at the same record. */
  again(): Cursor {
    const other = new Cursor(this.input)
    other.stream = this.stream
    other.partition = this.partition
    other.arena = this.arena
    other.moveTo(this.at)
    return other
  }

  /** Moves to the record at `at`. */
  moveTo(at: number): void {
    const words = this.input.words
    const word = at >> 2
    const valueBytes = words[word]!
    const keyBytes = words[word + 1]! & 0xffff
    this.at = at
    this.next = at + recordBytes(keyBytes, valueBytes)
    this.keyAt = at + recordHeaderBytes
    this.valueAt = this.keyAt + keyBytes
    this.valueEnd = this.valueAt + valueBytes
    this.key = undefined
    this.value = undefined
  }

  get timeMs(): number {
    const word = this.at >> 2
    return (this.input.words[word + 2]! >>> 0) + this.input.words[word + 3]! * two32
  }

  keyView(): Uint8Array<ArrayBuffer> {
    this.key ??= new Bytes(this.input.memory, this.keyAt, this.valueAt - this.keyAt)
    return this.key
  }

  valueView(): Uint8Array<ArrayBuffer> {
    this.value ??= new Bytes(this.input.memory, this.valueAt, this.valueEnd - this.valueAt)
    return this.value
  }

  /** The text of a range of bytes. It may be a slice that keeps the batch's string alive. */
  textOf(from: number, to: number): string {
    this.textAsked = true
    if (this.text !== undefined && isAscii(this.input, from, to)) return this.text.substring(from, to)
    return utf8Read(this.input.bytes, from, to)
  }
}

/** A quick check by words. A byte ≥ 0x80 just outside of the range only leads to the slow path. */
function isAscii({ words }: Input, from: number, to: number): boolean {
  let seen = 0
  const end = (to + 3) >> 2
  for (let word = from >> 2; word < end; word++) seen |= words[word]!
  return (seen & 0x80808080) === 0
}

/** V8 copies shorter slices anyway (SlicedString::kMinLength). */
const sliceLengthMin = 13

/** A string of its own: concatenation makes V8 copy the characters (50 ns). A slice would keep the batch alive. */
function owned(text: string): string {
  return text.length < sliceLengthMin ? text : [text, ''].join('')
}

export class RecordView implements StreamRecord {
  readonly #cursor: Cursor

  constructor(cursor: Cursor) {
    this.#cursor = cursor
  }

  get stream(): string {
    return live(this.#cursor).stream
  }

  get partition(): number {
    return live(this.#cursor).partition
  }

  get key(): Uint8Array {
    return live(this.#cursor).keyView()
  }

  get value(): Uint8Array {
    return live(this.#cursor).valueView()
  }

  get timeMs(): number {
    return live(this.#cursor).timeMs
  }

  keyText(): string {
    const cursor = live(this.#cursor)
    return owned(cursor.textOf(cursor.keyAt, cursor.valueAt))
  }

  text(): string {
    const cursor = live(this.#cursor)
    return owned(cursor.textOf(cursor.valueAt, cursor.valueEnd))
  }

  json<T = unknown>(): T {
    const cursor = live(this.#cursor)
    return fromJson(cursor.textOf(cursor.valueAt, cursor.valueEnd)) as T
  }

  copy(): StreamRecord {
    const cursor = live(this.#cursor)
    return new RecordCopy(cursor)
  }
}

function live(cursor: Cursor): Cursor {
  if (!cursor.live) {
    throw runtimeError(
      'ERR_CALLBACK_OVER',
      'Cannot read a record after its callback: keep `record.copy()` instead',
    )
  }
  return cursor
}

class RecordCopy implements StreamRecord {
  readonly stream: string
  readonly partition: number
  readonly timeMs: number
  readonly key: Uint8Array
  readonly value: Uint8Array

  constructor(from: Cursor) {
    this.stream = from.stream
    this.partition = from.partition
    this.timeMs = from.timeMs
    this.key = new Bytes(from.keyView())
    this.value = new Bytes(from.valueView())
  }

  keyText(): string {
    return utf8Read(this.key)
  }

  text(): string {
    return utf8Read(this.value)
  }

  json<T = unknown>(): T {
    return fromJson(this.text()) as T
  }

  copy(): StreamRecord {
    return this
  }
}
