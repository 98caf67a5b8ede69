/**
 * Compare: what two versions made of the same records, by their outcome logs (sdk/runtime/shared/layout.ts), record by record.
 *
 *   CM1. What is equal costs a walk over words and allocates nothing.
 *   CM2. A record is as it was if its outputs are, in their order: stream, key, value, event time, and the partition where the
 *        stream goes by key on both sides (else it goes by who had a turn). And if both failed at it, or neither.
 *   CM3. What one of both had no part in, since its key is of another share, is not compared.
 *   CM4. All timers of a call are compared as one: a log does not say which they were.
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

/** A log of whole records, read before and found to be well formed, and what its numbers of streams mean. */
export interface Side {
  readonly log: Uint8Array<ArrayBuffer>
  readonly outputs: readonly OutputConfig[]
}

/** What one of both made of a record, or of timers. */
export interface Made {
  readonly side: Side
  /** Of the log. */
  readonly words: Int32Array
  /** Words at which its outputs begin. */
  readonly outputs: readonly number[]
  readonly failed: boolean
  /** The word at which the report on its failure begins; negative if none was told. */
  readonly reportAt: number
}

export interface Comparison {
  /** A record that both are done with. @param index Among all records of the live log. The objects are used again. */
  record(index: number, same: boolean, live: Made, shadow: Made): void
  /** The timers of the call; if there were any in either. */
  timers(same: boolean, live: Made, shadow: Made): void
}

/** Not done yet with: it comes again, in another call. */
export function isPutOff(how: number): boolean {
  return how === verdict.setAside || how === verdict.behind
}

/** Which records of a log were put off, by their number. */
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
 * @param live All that was done in a call.
 * @param shadow What was done of it, without the records that were put off; shorter if it ended.
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

/** For each stream of the live side: its number on the other one, and whether its partitions say something. */
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
