/**
 * Compare: compares the outcome logs (sdk/runtime/shared/layout.ts) of two versions for the same call, record by record.
 *
 *   CM1. Equal logs are compared in one walk over their words, which allocates nothing.
 *   CM2. Two results for a record are the same if both versions failed or neither did, and their outputs are equal, in order: stream,
 *        key, value, event time, and the partition if the stream goes by key on both sides (else it depends on whose turn it is).
 *   CM3. A record that one version did not process, since its key is of another share, is not compared.
 *   CM4. All timers of a call are compared as one, since a log does not say which timers they were.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import {
  entryKind,
  entryWords,
  kindOf,
  type OutputConfig,
  partitionOf,
  streamOf,
  verdict,
  verdictIn,
} from '../../sdk/runtime/index.ts'

/** A log of whole records, known to be well formed, and the output streams to which its numbers refer. */
export interface Side {
  readonly log: Uint8Array<ArrayBuffer>
  readonly outputs: readonly OutputConfig[]
}

/** The result of one version for a record, or for the timers of a call. */
export interface Made {
  readonly side: Side
  /** The log as words. */
  readonly words: Int32Array
  /** The words at which outputs begin. */
  readonly outputs: readonly number[]
  readonly failed: boolean
  /** The word at which the report of the failure begins; negative if there is none. */
  readonly reportAt: number
}

export interface Comparison {
  /** A record that both have finished. @param index Among all records of the live log. The objects are reused. */
  record(index: number, same: boolean, live: Made, shadow: Made): void
  /** The timers of the call, if either log has any. */
  timers(same: boolean, live: Made, shadow: Made): void
}

/** Whether a record is not finished and comes again, in another call. */
export function isPutOff(how: number): boolean {
  return how === verdict.setAside || how === verdict.behind
}

/** The indexes of the records of a log that were put off. */
export function putOffIn(log: Uint8Array<ArrayBuffer>): number[] {
  const walk = new Walk({ log, outputs: [] })
  const found: number[] = []
  for (let index = 0; walk.next(); ) {
    if (walk.isTimer) continue
    if (isPutOff(walk.verdict)) found.push(index)
    index++
  }
  return found
}

/**
 * @param live The log of the working version for a call.
 * @param shadow The log of the other one, without records that were put off; shorter if its isolate ended.
 */
export function compare(live: Side, shadow: Side, found: Comparison): void {
  const streams = streamsOf(live.outputs, shadow.outputs)
  const [one, other] = [new Walk(live), new Walk(shadow)]
  const [oneTimers, otherTimers] = [new Timers(one), new Timers(other)]
  for (let index = 0; one.next(); ) {
    if (one.isTimer) {
      oneTimers.add(one)
      continue
    }
    const at = index++
    if (isPutOff(one.verdict)) continue
    if (!nextRecord(other, otherTimers)) break
    if (one.verdict === verdict.elsewhere || other.verdict === verdict.elsewhere) continue
    found.record(at, isSame(one, other, streams), one, other)
  }
  while (nextRecord(other, otherTimers));
  if (oneTimers.count + otherTimers.count === 0) return
  found.timers(isSame(oneTimers, otherTimers, streams), oneTimers, otherTimers)
}

function nextRecord(walk: Walk, timers: Timers): boolean {
  while (walk.next()) {
    if (!walk.isTimer) return true
    timers.add(walk)
  }
  return false
}

/** A walk over a log, from one record or timer to the next. */
class Walk implements Made {
  readonly side: Side
  readonly words: Int32Array
  readonly outputs: number[] = []
  reportAt = -1
  verdict = 0
  isTimer = false
  #at = 0

  constructor(side: Side) {
    this.side = side
    this.words = new Int32Array(side.log.buffer, side.log.byteOffset, side.log.length >> 2)
  }

  get failed(): boolean {
    return this.verdict !== verdict.processed
  }

  /** @returns Whether there is another one. */
  next(): boolean {
    const { words, outputs } = this
    outputs.length = 0
    this.reportAt = -1
    for (let at = this.#at; at < words.length; at += entryWords(words, at)) {
      const head = words[at]!
      switch (kindOf(head)) {
        case entryKind.output:
          outputs.push(at)
          break
        case entryKind.report:
          this.reportAt = at
          break
        case entryKind.record:
        case entryKind.timer:
          this.verdict = verdictIn(head)
          this.isTimer = kindOf(head) === entryKind.timer
          this.#at = at + entryWords(words, at)
          return true
      }
    }
    this.#at = words.length
    return false
  }
}

/** All timers of a call (CM4). */
class Timers implements Made {
  readonly side: Side
  readonly words: Int32Array
  readonly outputs: number[] = []
  count = 0
  failed = false
  reportAt = -1

  constructor({ side, words }: Walk) {
    this.side = side
    this.words = words
  }

  add(walk: Walk): void {
    this.count++
    this.outputs.push(...walk.outputs)
    if (!walk.failed) return
    this.failed = true
    this.reportAt = walk.reportAt
  }
}

/** For each stream of the live side: its number on the other side, and whether partitions are compared (`byKey`). */
function streamsOf(live: readonly OutputConfig[], shadow: readonly OutputConfig[]): Int32Array {
  return Int32Array.from(live, ({ name, keyed }) => {
    const number = shadow.findIndex((stream) => stream.name === name)
    if (number < 0) return -1
    return keyed && shadow[number]!.keyed ? number | byKey : number
  })
}

const byKey = 0x100

function isSame(one: Made, other: Made, streams: Int32Array): boolean {
  const count = one.outputs.length
  if (count !== other.outputs.length || one.failed !== other.failed) return false
  const [a, b] = [one.words, other.words]
  for (let i = 0; i < count; i++) {
    const [at, otherAt] = [one.outputs[i]!, other.outputs[i]!]
    const stream = streams[streamOf(a[at]!)]!
    if (stream < 0 || (stream & 0xff) !== streamOf(b[otherAt]!)) return false
    if ((stream & byKey) !== 0 && partitionOf(a[at]!) !== partitionOf(b[otherAt]!)) return false
    // A record is padded with zeros to whole words.
    for (let word = entryWords(a, at) - 1; word > 0; word--)
      if (a[at + word] !== b[otherAt + word]) return false
  }
  return true
}
