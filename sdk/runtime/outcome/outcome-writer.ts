/**
 * OutcomeWriter: appends what callbacks do to the outcome log (layout.ts) and publishes it record by record.
 *
 *   W1. Only `done` and `publish` publish, and they publish everything of the current record at once (LY1, I3).
 *   W2. `rollback` leaves nothing of the current record.
 *   W3. No view of the log can be reached from outside (primordials.ts, P1).
 * @module
 */

import type { Data } from '../../function.ts'
import { checkRecordSize, frameBytesAimed, keyBytesMax, recordHeaderBytes } from '../../wire/frame.ts'
import { murmur3Words } from '../../wire/hash.ts'
import type { MetricKind } from '../../wire/user-metrics.ts'
import { notData, runtimeError } from '../errors.ts'
import { Bytes, copyBytes, lengthOf } from '../realm/primordials.ts'
import { utf8Length, utf8Write } from '../realm/utf8.ts'
import { copiedByWordsMax, putBytes } from '../realm/words.ts'
import type { ControlWords } from '../shared/control-words.ts'
import {
  control,
  entryKind,
  outcomeBytesAimed,
  type Reaction,
  reactions,
  reportBytesMax,
  verdict,
} from '../shared/layout.ts'
import type { MetricNames } from '../shared/metric-names.ts'
import type { Timer } from '../shared/timer-at-hand.ts'
import { type Thrown, timerText, writeReport } from './report.ts'

const two32 = 2 ** 32

/** A 64-bit float as two words. */
const float = new Float64Array(1)
const floatWords = new Int32Array(float.buffer)

/** An output stream, and the partition that its records go to. */
export class OutputStream {
  readonly name: string
  /** Its index in the table that the host passed. */
  readonly index: number
  readonly partitions: number
  /** True: a record goes to the partition of its key's hash. Else a chunk at a time, round robin. */
  readonly keyed: boolean
  #partition = 0
  #chunkBytes = 0

  constructor(name: string, index: number, partitions: number, keyed: boolean) {
    this.name = name
    this.index = index
    this.partitions = partitions
    this.keyed = keyed
  }

  /** The partition for the next `bytes` of a stream that is not keyed. */
  take(bytes: number): number {
    if (this.#chunkBytes + bytes > frameBytesAimed) this.nextChunk()
    this.#chunkBytes += bytes
    return this.#partition
  }

  /** Moves on to the next partition if the current one was used. */
  nextChunk(): void {
    if (this.#chunkBytes === 0) return
    this.#chunkBytes = 0
    this.#partition = (this.#partition + 1) % this.partitions
  }
}

export class OutcomeWriter {
  readonly #controlWords: ControlWords
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #outputBytesPerRecord: number
  readonly #metrics: MetricNames
  /** Where the current record begins, and where the next entry goes. */
  #mark = 0
  #end = 0
  /** Calls for the current record or timer after its first one. */
  retries = 0
  /** The number of records and timers whose callbacks have ended in the current log. */
  calls = 0

  constructor(
    memory: ArrayBufferLike,
    controlWords: ControlWords,
    outputBytesPerRecord: number,
    metrics: MetricNames,
  ) {
    this.#controlWords = controlWords
    this.#words = new Int32Array(memory)
    this.#bytes = new Uint8Array(memory)
    this.#outputBytesPerRecord = outputBytesPerRecord
    this.#metrics = metrics
  }

  /** Starts an empty log. */
  reset(): void {
    this.#mark = this.#end = this.retries = this.calls = 0
    this.#controlWords.publish(control.published, 0)
  }

  /** True once the batch should end, so that the host can empty the log. */
  get full(): boolean {
    return this.#end >= outcomeBytesAimed
  }

  /**
   * Appends a record.
   * @throws {CodedError} ERR_ARGUMENT, ERR_RECORD_TOO_LARGE or ERR_OUTPUT_TOO_LARGE; then nothing is appended.
   */
  output(stream: OutputStream, key: Data, value: Data, timeMs: number, partition: number | undefined): void {
    const words = this.#words
    const bytes = this.#bytes
    const start = this.#end
    const keyAt = start + 4 + recordHeaderBytes
    const limit = this.#mark + this.#outputBytesPerRecord
    const valueAt = this.#put(stream, 'key', key, keyAt, limit)
    const valueEnd = this.#put(stream, 'value', value, valueAt, limit)
    const keyBytes = valueAt - keyAt
    const valueBytes = valueEnd - valueAt
    const end = (valueEnd + 3) & ~3
    if (end > limit) throw this.#tooMuch(stream, end)
    if (keyBytes > keyBytesMax || end - start > outcomeBytesAimed >> 1) checkRecordSize(keyBytes, valueBytes)
    for (let i = valueEnd; i < end; i++) bytes[i] = 0
    const high = Math.floor(timeMs / two32)
    const at = start >> 2
    words[at + 1] = valueBytes
    words[at + 2] = keyBytes
    words[at + 3] = timeMs - high * two32
    words[at + 4] = high
    const target =
      partition ??
      (stream.keyed
        ? murmur3Words(words, keyAt >> 2, keyBytes) % stream.partitions
        : stream.take(end - start))
    words[at] = entryKind.output | (stream.index << 8) | (target << 16)
    this.#end = end
  }

  /** Copies `data` to `at`. If it throws, what it has written is after `#end`, and so void. */
  #put(stream: OutputStream, what: 'key' | 'value', data: Data, at: number, limit: number): number {
    const bytes = this.#bytes
    if (typeof data === 'string') {
      if (data.length > limit - at) throw this.#tooMuch(stream, at + utf8Length(data))
      return utf8Write(data, bytes, at)
    }
    if (!(data instanceof Bytes)) throw notData(`produceRecord to '${stream.name}'`, what, data)
    const length = lengthOf(data)
    if (length > limit - at) throw this.#tooMuch(stream, at + length)
    if (length > copiedByWordsMax) copyBytes(bytes, data, at)
    else if ((at & 3) === 0) putBytes(this.#words, at >> 2, data, length)
    else for (let i = 0; i < length; i++) bytes[at + i] = data[i]!
    return at + length
  }

  /**
   * Appends what was counted or observed.
   * @throws {CodedError} ERR_METRIC or ERR_OUTPUT_TOO_LARGE; then nothing is appended.
   */
  metric(kind: MetricKind, name: string, value: number): void {
    const id = this.#metrics.idOf(name, kind)
    const at = this.#end
    if (at + 12 > this.#mark + this.#outputBytesPerRecord) throw this.#beyond(`${kind} '${name}'`, at + 12)
    float[0] = value
    const words = this.#words
    words[at >> 2] = entryKind.metric | (id << 8)
    words[(at >> 2) + 1] = floatWords[0]!
    words[(at >> 2) + 2] = floatWords[1]!
    this.#end = at + 12
  }

  #tooMuch(stream: OutputStream, end: number): Error {
    return this.#beyond(`produce to '${stream.name}'`, end)
  }

  /** @param end Where the log would end at least. */
  #beyond(attempted: string, end: number): Error {
    const most = amountOf(this.#outputBytesPerRecord)
    const all = amountOf(end - this.#mark)
    return runtimeError(
      'ERR_OUTPUT_TOO_LARGE',
      `Cannot ${attempted}: one callback may produce ${most} in all, and this would make it ${all} (limits.outputBytesPerRecord)`,
    )
  }

  /**
   * Appends a report on a callback that threw; `of` is the kind of entry that will end it, or 0.
   * @param timer That it was called for, which then stands before the text (timerText).
   */
  report(of: number, reaction: Reaction, attempts: number, thrown: Thrown, timer?: Timer): void {
    const at = this.#end
    const textAt = at + 8
    const from = of === entryKind.timer && timer ? utf8Write(timerText(timer), this.#bytes, textAt) : textAt
    const textEnd = Math.min(writeReport(thrown, this.#bytes, from), from + reportBytesMax)
    this.#words[at >> 2] =
      entryKind.report | (reactions.indexOf(reaction) << 8) | (attempts << 16) | (of << 24)
    this.#words[(at >> 2) + 1] = textEnd - textAt
    this.#end = (textEnd + 3) & ~3
  }

  /** Records how the current record or timer ended, and publishes everything that it did (W1). */
  done(kind: number, how: number): void {
    const at = this.#end
    this.#words[at >> 2] = kind | (how << 8) | (this.retries << 16)
    this.retries = 0
    if (how < verdict.behind) this.calls++
    this.#end = at + 4
    this.publish()
  }

  /** Publishes what the runtime did to state by itself. @param units Of tidying since the last one. */
  swept(units = 0): void {
    const at = this.#end
    this.#words[at >> 2] = entryKind.swept | (units << 8)
    this.#end = at + 4
    this.publish()
  }

  /** Publishes what was appended, without ending the current record. */
  publish(): void {
    this.#mark = this.#end
    this.#controlWords.publish(control.published, this.#end)
  }

  /** Discards everything of the current record (W2). */
  rollback(): void {
    this.#end = this.#mark
  }
}

function amountOf(bytes: number): string {
  const mib = Math.round((bytes / 2 ** 20) * 10) / 10
  return mib < 1 ? `${bytes} bytes` : `${bytes} bytes (${mib} MiB)`
}
