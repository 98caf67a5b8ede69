/**
 * OutcomeEntry: the grammar of the outcome log (`entryKind` in layout.ts), for all who read one: what the first word
 * of an entry says, where its contents are, and how long it is.
 *
 *   OE1. Nothing is checked here: these functions are for logs that an OutcomeReader has found well formed, or that
 *        we wrote ourselves.
 * @module
 */
import { recordBytes, recordHeaderBytes } from '../../wire/frame.ts'
import { entryKind } from '../shared/layout.ts'
import { readTimer, type TimerReport } from './report.ts'

export function kindOf(head: number): number {
  return head & 0xff
}

/** The stream of an output. */
export function streamOf(head: number): number {
  return (head >>> 8) & 0xff
}

/** The partition of an output. */
export function partitionOf(head: number): number {
  return head >>> 16
}

/** The verdict on a record or timer that is done: one of `verdict`. */
export function verdictIn(head: number): number {
  return (head >>> 8) & 0xff
}

/** For a record or timer that is done: calls after its first one. */
export function retriesOf(head: number): number {
  return head >>> 16
}

/** For a report: an index in `reactions`. */
export function reactionIn(head: number): number {
  return (head >>> 8) & 0xff
}

/** The number of attempts in a report. */
export function attemptsOf(head: number): number {
  return (head >>> 16) & 0xff
}

/** For a report: the kind of entry that will end its record or timer, or 0. */
export function subjectIn(head: number): number {
  return head >>> 24
}

/** The number of a metric. */
export function metricOf(head: number): number {
  return (head >>> 8) & 0xff
}

/** For sweeping: units of tidying. */
export function unitsOf(head: number): number {
  return head >>> 8
}

/** The words of the entry that starts at a word, including the first one. */
export function entryWords(words: Int32Array, at: number): number {
  switch (kindOf(words[at]!)) {
    case entryKind.output:
      return outputWords(words, at)
    case entryKind.metric:
      return 3
    case entryKind.report:
      return 2 + ((words[at + 1]! + 3) >> 2)
    default:
      return 1
  }
}

/** The same for an output, whose record has the form of a frame's. */
export function outputWords(words: Int32Array, at: number): number {
  return 1 + (recordBytes(words[at + 2]!, words[at + 1]!) >> 2)
}

/** The bytes of an output's key and value in the log. */
export function outputBytes(
  words: Int32Array,
  at: number,
): { readonly keyAt: number; readonly valueAt: number; readonly end: number } {
  const keyAt = (at + 1) * 4 + recordHeaderBytes
  const valueAt = keyAt + words[at + 2]!
  return { keyAt, valueAt, end: valueAt + words[at + 1]! }
}

/** The event time of an output. */
export function outputTimeMs(words: Int32Array, at: number): number {
  return (words[at + 3]! >>> 0) + words[at + 4]! * 2 ** 32
}

/** The text of a report. */
export function reportText(log: Uint8Array, words: Int32Array, at: number): Uint8Array {
  const textAt = (at + 2) * 4
  return log.subarray(textAt, textAt + words[at + 1]!)
}

/** The text of a report, without the timer that may come before it. */
export function reportParts(head: number, text: string): TimerReport {
  return subjectIn(head) === entryKind.timer ? readTimer(text) : { timer: undefined, rest: text }
}

const float = new Float64Array(1)
const floatWords = new Int32Array(float.buffer)

/** The value that was counted or observed. */
export function metricValue(words: Int32Array, at: number): number {
  floatWords[0] = words[at + 1]!
  floatWords[1] = words[at + 2]!
  return float[0]!
}
