/**
 * OutcomeReader: reads an outcome log in the host, and regroups its outputs into frames for the bus.
 *
 * The isolate can write to the memory of the log, so:
 *   R1. It reads a private copy, which cannot change after it was checked.
 *   R2. Every kind, length, stream and partition is checked. A mistake throws; nothing is guessed.
 *   R3. Every frame that it returns would pass `parseFrame` once it is stamped.
 * @module
 */
import { CodedError } from '../../errors.ts'
import {
  frameBytesAimed,
  frameBytesMax,
  headerBytesV1,
  type RawRecord,
  recordBytes,
} from '../../wire/frame.ts'
import { utf8Read } from '../realm/utf8.ts'
import {
  entryKind,
  type Reaction,
  reactions,
  reportBytesMax,
  timerTextBytesMax,
  verdict,
} from '../shared/layout.ts'
import type { Timer } from '../shared/timer-at-hand.ts'
import {
  attemptsOf,
  entryWords,
  kindOf,
  metricOf,
  metricValue,
  outputBytes,
  outputTimeMs,
  outputWords,
  partitionOf,
  reactionIn,
  reportParts,
  reportText,
  retriesOf,
  streamOf,
  subjectIn,
  unitsOf,
  verdictIn,
} from './outcome-entry.ts'

/** An output stream as the reader needs it, in the order of the table that the runtime has. */
export interface OutputShape {
  readonly name: string
  readonly partitions: number
}

/** Records of one partition: a body after 48 bytes of room for the header, in memory from `memory`. */
export interface OutputFrame {
  readonly stream: string
  readonly partition: number
  readonly frame: Uint8Array<ArrayBuffer>
  readonly count: number
}

/** A callback threw. */
export interface OutcomeReport {
  readonly of: 'record' | 'timer' | 'lifecycle'
  /** The number of records (or timers) in this part of the log before it. */
  readonly index: number
  readonly reaction: Reaction
  /** 0 if it was not reported. */
  readonly attempts: number
  /** The text written in the isolate, which is not trusted either. Undefined if the failure was only counted. */
  readonly text: string | undefined
  /** The timer of a report about one. */
  readonly timer?: Timer
}

export interface Outcome {
  records: number
  timers: number
  skipped: number
  deadLettered: number
  /** Calls of callbacks that were not the first for their record or timer. */
  retries: number
  /** How many of `records` belong to another share. */
  elsewhere: number
  /** The number of records in `outputs`. */
  recordsOut: number
  /** Units of tidying. */
  tidied: number
  /**
   * Writes the outputs on the first call. A function, because an accessor would give every outcome its own hidden
   * class, which outlives it.
   */
  readonly outputs: () => readonly OutputFrame[]
  readonly reports: OutcomeReport[]
  /** Pairs of a metric's number (metric-names.ts) and a value. */
  readonly metrics: number[]
}

const noOutputs = (): readonly OutputFrame[] => []

export function emptyOutcome(): Outcome {
  return {
    records: 0,
    timers: 0,
    skipped: 0,
    deadLettered: 0,
    retries: 0,
    elsewhere: 0,
    recordsOut: 0,
    tidied: 0,
    outputs: noOutputs,
    reports: [],
    metrics: [],
  }
}

function malformed(what: string): CodedError<'ERR_OUTCOME_MALFORMED'> {
  return new CodedError('ERR_OUTCOME_MALFORMED', `Cannot read what an isolate left: ${what}`)
}

/** A planned frame, and later the frame. */
interface Plan extends OutputFrame {
  /** The key of (stream, partition). */
  readonly slot: number
  bytes: number
  count: number
  frame: Uint8Array<ArrayBuffer>
  words: Int32Array
  at: number
  /** The next frame with the same target. */
  next: Plan | undefined
}

const reactionOf: Readonly<Record<number, Reaction>> = {
  [verdict.skipped]: 'skip',
  [verdict.deadLettered]: 'deadLetter',
  [verdict.setAside]: 'setAside',
  [verdict.behind]: 'behind',
}

const subjects: Readonly<Record<number, OutcomeReport['of']>> = {
  0: 'lifecycle',
  [entryKind.record]: 'record',
  [entryKind.timer]: 'timer',
}

export class OutcomeReader {
  readonly #shapes: readonly OutputShape[]
  readonly #memory: (bytes: number) => Uint8Array<ArrayBuffer>
  /** The current frame of each (stream, partition). */
  readonly #slots: (Plan | undefined)[]
  readonly #firstSlots: readonly number[]

  /** @param memory Provides the memory for frames. */
  constructor(
    shapes: readonly OutputShape[],
    memory: (bytes: number) => Uint8Array<ArrayBuffer> = (bytes) => new Uint8Array(bytes),
  ) {
    this.#shapes = shapes
    this.#memory = memory
    let slots = 0
    this.#firstSlots = shapes.map(({ partitions }) => {
      slots += partitions
      return slots - partitions
    })
    this.#slots = new Array<Plan | undefined>(slots).fill(undefined)
  }

  /**
   * Reads a log, or what was added to one.
   * @param log A private copy (R1) of whole words, at the start of its memory.
   * @throws {CodedError} ERR_OUTCOME_MALFORMED
   */
  read(log: Uint8Array<ArrayBuffer>): Outcome {
    const outcome = this.survey(log)
    outcome.outputs()
    return outcome
  }

  /**
   * The same, but outputs are only written when they are first requested: everything else is known after a third of
   * the time. Until then the log must not change.
   * @param onTaken Called when they were written.
   */
  survey(log: Uint8Array<ArrayBuffer>, onTaken: () => void = () => undefined): Outcome {
    const words = new Int32Array(log.buffer, log.byteOffset, log.length >> 2)
    const found = emptyOutcome()
    const plans: Plan[] = []
    try {
      this.#plan(log, words, found, plans)
    } finally {
      this.#forget(plans)
    }
    const take = (): OutputFrame[] => {
      if (plans.length > 0) this.#fill(words, plans)
      this.#forget(plans)
      onTaken()
      return plans
    }
    let taken: OutputFrame[] | undefined
    const outputs = (): OutputFrame[] => {
      taken ??= take()
      return taken
    }
    return { ...found, outputs }
  }

  #forget(plans: readonly Plan[]): void {
    for (const { slot } of plans) this.#slots[slot] = undefined
  }

  /** First pass: checks everything, counts, and plans the frames. */
  #plan(log: Uint8Array, words: Int32Array, outcome: Outcome, plans: Plan[]): void {
    const end = words.length
    /** Of the log: decodes a short text several times as fast as a TextDecoder, which needs a view of it. */
    let buffer: Buffer | undefined
    let at = 0
    while (at < end) {
      const head = words[at]!
      switch (kindOf(head)) {
        case entryKind.output:
          at += this.#planOutput(words, at, plans)
          outcome.recordsOut++
          break
        case entryKind.record:
          this.#count('record', outcome.records, head, outcome)
          outcome.records++
          at += 1
          break
        case entryKind.swept:
          outcome.tidied += unitsOf(head)
          at += 1
          break
        case entryKind.metric:
          if (at + 3 > end) throw malformed('a metric that is cut off')
          outcome.metrics.push(metricOf(head), metricValue(words, at))
          at += 3
          break
        case entryKind.timer:
          this.#count('timer', outcome.timers, head, outcome)
          outcome.timers++
          at += 1
          break
        case entryKind.report: {
          const reaction = reactions[reactionIn(head)]
          const length = at + 2 <= end ? words[at + 1]! : -1
          const next = at + entryWords(words, at)
          const of = subjects[subjectIn(head)]
          if (
            reaction === undefined ||
            of === undefined ||
            length < 0 ||
            length > reportBytesMax + (of === 'timer' ? timerTextBytesMax : 0) ||
            next > end
          ) {
            throw malformed(`a report of ${length} bytes`)
          }
          buffer ??= Buffer.from(log.buffer, log.byteOffset, log.length)
          const textAt = (at + 2) * 4
          const { timer, rest: text } = reportParts(head, buffer.toString('utf8', textAt, textAt + length))
          const index = of === 'record' ? outcome.records : outcome.timers
          outcome.reports.push({
            of,
            index,
            reaction,
            attempts: attemptsOf(head),
            text,
            ...(timer && { timer }),
          })
          at = next
          break
        }
        default:
          throw malformed(`an entry of kind ${kindOf(head)}`)
      }
    }
  }

  /** A record or timer is done. If it failed and was not reported, adds a report without text. */
  #count(of: 'record' | 'timer', index: number, head: number, outcome: Outcome): void {
    const how = verdictIn(head)
    outcome.retries += retriesOf(head)
    if (how === verdict.processed) return
    if (how === verdict.elsewhere && of === 'record') {
      outcome.elsewhere++
      return
    }
    const reaction = reactionOf[how]
    if (reaction === undefined) throw malformed(`a record that ended in way ${how}`)
    if (how === verdict.skipped) outcome.skipped++
    else if (how === verdict.deadLettered) outcome.deadLettered++
    const told = outcome.reports.at(-1)
    if (told?.of === of && told.index === index) return
    outcome.reports.push({ of, index, reaction, attempts: 0, text: undefined })
  }

  /** @returns The words of the entry. */
  #planOutput(words: Int32Array, at: number, plans: Plan[]): number {
    const left = words.length - at
    const stream = streamOf(words[at]!)
    const partition = partitionOf(words[at]!)
    const shape = this.#shapes[stream]
    if (shape === undefined || partition >= shape.partitions)
      throw malformed(`an output to ${stream}/${partition}`)
    if (left < 5) throw malformed('a record that is cut off')
    const valueBytes = words[at + 1]! >>> 0
    const keyBytes = words[at + 2]! >>> 0
    if (keyBytes > 0xffff) throw malformed(`a record with a key of ${keyBytes} bytes`)
    if (valueBytes > frameBytesMax) throw malformed(`a record with a value of ${valueBytes} bytes`)
    const bytes = recordBytes(keyBytes, valueBytes)
    if (bytes >> 2 > left - 1 || bytes > frameBytesMax - headerBytesV1)
      throw malformed(`a record of ${bytes} bytes`)
    const slot = this.#firstSlots[stream]! + partition
    let plan = this.#slots[slot]
    if (plan === undefined || plan.bytes + bytes > frameBytesAimed - headerBytesV1) {
      const fresh: Plan = {
        stream: shape.name,
        partition,
        slot,
        bytes: 0,
        count: 0,
        frame: none,
        words: noWords,
        at: headerBytesV1 >> 2,
        next: undefined,
      }
      if (plan !== undefined) plan.next = fresh
      this.#slots[slot] = plan = fresh
      plans.push(plan)
    }
    plan.bytes += bytes
    plan.count++
    return 1 + (bytes >> 2)
  }

  /** Second pass: copies the records of each plan into its frame, in their order. */
  #fill(words: Int32Array, plans: Plan[]): void {
    for (const plan of plans) {
      plan.frame = this.#memory(headerBytesV1 + plan.bytes)
      plan.words = new Int32Array(plan.frame.buffer, 0, plan.frame.length >> 2)
    }
    // Each slot has the last frame of its target: go back to the first.
    for (let i = plans.length - 1; i >= 0; i--) {
      const plan = plans[i]!
      this.#slots[plan.slot] = plan
    }
    const end = words.length
    let at = 0
    while (at < end) {
      const head = words[at]!
      if (kindOf(head) !== entryKind.output) at += entryWords(words, at)
      else {
        const slot = this.#firstSlots[streamOf(head)]! + partitionOf(head)
        const size = outputWords(words, at) - 1
        let plan = this.#slots[slot]!
        if (plan.at === plan.words.length) {
          plan = plan.next!
          this.#slots[slot] = plan
        }
        copyWords(plan.words, plan.at, words, at + 1, size)
        plan.at += size
        at += 1 + size
      }
    }
  }
}

const none = new Uint8Array(0)
const noWords = new Int32Array(0)

/** A record of the log, or the end of one, in the order of writing. */
export type OutcomeEntry =
  | {
      readonly kind: 'output'
      readonly stream: number
      readonly partition: number
      readonly record: RawRecord
    }
  | {
      readonly kind: 'done'
      readonly of: 'record' | 'timer'
      readonly verdict: number
      readonly retries: number
    }
  | { readonly kind: 'metric'; readonly id: number; readonly value: number }
  | { readonly kind: 'report'; readonly reaction: Reaction; readonly attempts: number; readonly text: string }

/**
 * Walks through a log that we wrote ourselves, without checks: for the test kit, which needs the order of outputs.
 */
export function* entriesOf(log: Uint8Array<ArrayBuffer>): Generator<OutcomeEntry> {
  const words = new Int32Array(log.buffer, log.byteOffset, log.length >> 2)
  for (let at = 0; at < words.length; at += entryWords(words, at)) {
    const head = words[at]!
    switch (kindOf(head)) {
      case entryKind.output: {
        const { keyAt, valueAt, end } = outputBytes(words, at)
        const timeMs = outputTimeMs(words, at)
        const record = { key: log.slice(keyAt, valueAt), value: log.slice(valueAt, end), timeMs }
        yield { kind: 'output', stream: streamOf(head), partition: partitionOf(head), record }
        break
      }
      case entryKind.report: {
        const { rest: text } = reportParts(head, utf8Read(reportText(log, words, at)))
        yield { kind: 'report', reaction: reactions[reactionIn(head)]!, attempts: attemptsOf(head), text }
        break
      }
      case entryKind.metric:
        yield { kind: 'metric', id: metricOf(head), value: metricValue(words, at) }
        break
      case entryKind.record:
      case entryKind.timer: {
        const of = kindOf(head) === entryKind.record ? 'record' : 'timer'
        yield { kind: 'done', of, verdict: verdictIn(head), retries: retriesOf(head) }
      }
    }
  }
}

function copyWords(target: Int32Array, to: number, source: Int32Array, from: number, count: number): void {
  if (count > 256) return target.set(source.subarray(from, from + count), to)
  const end = from + count
  for (; from + 4 <= end; from += 4, to += 4) {
    target[to] = source[from]!
    target[to + 1] = source[from + 1]!
    target[to + 2] = source[from + 2]!
    target[to + 3] = source[from + 3]!
  }
  while (from < end) target[to++] = source[from++]!
}
