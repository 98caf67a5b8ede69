/**
 * OutcomeEntry: the grammar of the outcome log (`entryKind` in layout.ts), for all who read one: what an entry's first word, its
 * head, says; where in the log lies what it holds; and how long it is.
 *
 *   OE1. Nothing is checked here: it is for logs that an OutcomeReader has found well formed, or of one's own making.
 * @module
 */
import { recordBytes, recordHeaderBytes } from '../../wire/frame.ts'
import { entryKind } from '../shared/layout.ts'
import { readTimer, type TimerReport } from './report.ts'

export function kindOf(head: number): number {
  return head & 0xff
}

/** Of an output. */
export function streamOf(head: number): number {
  return (head >>> 8) & 0xff
}

/** Of an output. */
export function partitionOf(head: number): number {
  return head >>> 16
}

/** Of a record or timer that is done: one of `verdict`. */
export function verdictIn(head: number): number {
  return (head >>> 8) & 0xff
}

/** Of a record or timer that is done: calls that were not its first. */
export function retriesOf(head: number): number {
  return head >>> 16
}

/** Of a report: an index in `reactions`. */
export function reactionIn(head: number): number {
  return (head >>> 8) & 0xff
}

/** Of a report. */
export function attemptsOf(head: number): number {
  return (head >>> 16) & 0xff
}

/** Of a report: the kind of entry that will end what it tells of, or 0. */
export function subjectIn(head: number): number {
  return head >>> 24
}

/** Of a metric: its number. */
export function metricOf(head: number): number {
  return (head >>> 8) & 0xff
}

/** Of what was swept: units of tidying. */
export function unitsOf(head: number): number {
  return head >>> 8
}

/** Words of the entry that begins at a word, with its head. */
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

/** The same of an output: its record is as in a frame. */
export function outputWords(words: Int32Array, at: number): number {
  return 1 + (recordBytes(words[at + 2]!, words[at + 1]!) >> 2)
}

/** The bytes of the log that an output's key and value are. */
export function outputBytes(
  words: Int32Array,
  at: number,
): { readonly keyAt: number; readonly valueAt: number; readonly end: number } {
  const keyAt = (at + 1) * 4 + recordHeaderBytes
  const valueAt = keyAt + words[at + 2]!
  return { keyAt, valueAt, end: valueAt + words[at + 1]! }
}

/** When an output happened. */
export function outputTimeMs(words: Int32Array, at: number): number {
  return (words[at + 3]! >>> 0) + words[at + 4]! * 2 ** 32
}

/** The text of a report. */
export function reportText(log: Uint8Array, words: Int32Array, at: number): Uint8Array {
  const textAt = (at + 2) * 4
  return log.subarray(textAt, textAt + words[at + 1]!)
}

/** Of a report: its text, apart from the timer that stands before it where it tells of one. */
export function reportParts(head: number, text: string): TimerReport {
  return subjectIn(head) === entryKind.timer ? readTimer(text) : { timer: undefined, rest: text }
}

const float = new Float64Array(1)
const floatWords = new Int32Array(float.buffer)

/** What a metric's callback has counted or observed. */
export function metricValue(words: Int32Array, at: number): number {
  floatWords[0] = words[at + 1]!
  floatWords[1] = words[at + 2]!
  return float[0]!
}
