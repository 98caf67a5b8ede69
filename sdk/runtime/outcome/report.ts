/**
 * Report: turns a thrown value into plain text where it was thrown; the host parses the text.
 *
 * A thrown value may be anything: an object whose `message` is a getter that never returns, a Proxy, undefined. So it
 * is read here, under the time limit of the callback that threw it, and only text of bounded length goes on: name,
 * message and stack, after a line with their lengths (`4,12,30\nname…message…stack…`). JSON would cost as much as
 * throwing the error. No length for the stack means that it was not captured (report-budget.ts).
 * @module
 */

import { toJson } from '../realm/primordials.ts'
import { utf8Length, utf8Write } from '../realm/utf8.ts'
import { reportBytesMax } from '../shared/layout.ts'
import type { Timer } from '../shared/timer-at-hand.ts'

const nameMax = 128
const messageMax = 2048
const stackMax = 6144
/** Limits with which the text fits into `reportBytesMax`, whatever its characters are. */
const tightMax = 1024
/** At most, of the line with the lengths. */
const headMax = 16
const [newline, comma, zero] = [0x0a, 0x2c, 0x30]

/** What a report says. */
export interface ReportFields {
  readonly name: string
  readonly message: string
  readonly stack: string
}

/** What is told of a thrown value; no stack: none was captured. */
export interface Thrown extends Omit<ReportFields, 'stack'> {
  readonly stack: string | undefined
}

const unreadable: Thrown = { name: '', message: '', stack: '' }

/**
 * The report of a thrown value, whose text takes at most `reportBytesMax` bytes.
 * @param hasStack False: no stack was captured, so it is not read, which would format it.
 */
export function reportOf(thrown: unknown, hasStack = true): Thrown {
  try {
    const whole = read(thrown, messageMax, hasStack ? stackMax : undefined)
    return fits(whole) ? whole : read(thrown, tightMax, hasStack ? tightMax : undefined)
  } catch {
    return unreadable // a stack that is used up
  }
}

function fits({ name, message, stack = '' }: Thrown): boolean {
  const units = headMax + name.length + message.length + stack.length
  if (units * 3 <= reportBytesMax) return true // UTF-8 takes at most three bytes per code unit
  return headMax + utf8Length(name) + utf8Length(message) + utf8Length(stack) <= reportBytesMax
}

/**
 * Writes the text of a report, part by part: to join the parts first would take twice as long as the rest.
 * @returns The offset behind it.
 */
export function writeReport({ name, message, stack }: Thrown, bytes: Uint8Array, at: number): number {
  at = writeNumber(name.length, bytes, at)
  bytes[at++] = comma
  at = writeNumber(message.length, bytes, at)
  bytes[at++] = comma
  if (stack !== undefined) at = writeNumber(stack.length, bytes, at)
  bytes[at++] = newline
  at = utf8Write(message, bytes, utf8Write(name, bytes, at))
  return stack === undefined ? at : utf8Write(stack, bytes, at)
}

function writeNumber(value: number, bytes: Uint8Array, at: number): number {
  let digits = 1
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) digits++
  for (let i = at + digits - 1, rest = value; i >= at; i--, rest = (rest / 10) | 0)
    bytes[i] = zero + (rest % 10)
  return at + digits
}

/** Whether the error's stack was not captured. (An error without a stack is something else.) */
export function isStackless(text: string): boolean {
  return /^\d+,\d+,\n/.test(text)
}

/** The text of a timer before the text of its report. */
export function timerText({ partition, key, timeMs }: Timer): string {
  return `${partition},${timeMs},${key.length}\n${key}`
}

export interface TimerReport {
  readonly timer: Timer | undefined
  readonly rest: string
}

/** Parses the text before a report about a timer. @returns The timer, if it is one, and the rest. */
export function readTimer(text: string): TimerReport {
  const head = /^(\d{1,4}),(-?\d{1,16}),(\d{1,5})\n/.exec(text)
  if (head === null) return { timer: undefined, rest: text }
  const keyAt = head[0].length
  const keyEnd = keyAt + Number(head[3])
  const timer = { partition: Number(head[1]), key: text.slice(keyAt, keyEnd), timeMs: Number(head[2]) }
  return { timer: Number.isSafeInteger(timer.timeMs) ? timer : undefined, rest: text.slice(keyEnd) }
}

/** A thrown value as text for a line of the log. */
export function wordsOf(thrown: unknown): string {
  const { name, message, stack = '' } = reportOf(thrown)
  return stack === '' ? `${name}: ${message}` : stack
}

/** Parses the text of a report, which may be anything; missing parts become empty. */
export function readFields(text: string): ReportFields {
  const line = text.indexOf('\n')
  const head = line < 0 ? '' : text.slice(0, line)
  const first = head.indexOf(',')
  const second = head.indexOf(',', first + 1)
  if (first < 0 || second < 0) return { name: '', message: '', stack: '' }
  const nameEnd = line + 1 + lengthIn(head.slice(0, first))
  const messageEnd = nameEnd + lengthIn(head.slice(first + 1, second))
  const stackEnd = messageEnd + lengthIn(head.slice(second + 1))
  return {
    name: text.slice(line + 1, nameEnd),
    message: text.slice(nameEnd, messageEnd),
    stack: text.slice(messageEnd, stackEnd),
  }
}

function lengthIn(digits: string): number {
  const length = Number(digits)
  return Number.isInteger(length) && length >= 0 ? length : 0
}

function read(thrown: unknown, messageLength: number, stackLength: number | undefined): Thrown {
  const name = field(thrown, 'name', nameMax) ?? 'Error'
  const message = field(thrown, 'message', messageLength) ?? describe(thrown, messageLength)
  return {
    name,
    message,
    stack: stackLength === undefined ? undefined : (field(thrown, 'stack', stackLength) ?? ''),
  }
}

function field(thrown: unknown, name: string, most: number): string | undefined {
  if ((typeof thrown !== 'object' || thrown === null) && typeof thrown !== 'function') return undefined
  try {
    const value: unknown = (thrown as Record<string, unknown>)[name]
    return typeof value === 'string' ? value.slice(0, most) : undefined
  } catch {
    return undefined
  }
}

function describe(thrown: unknown, most: number): string {
  try {
    const text = String(thrown)
    const said = text === '[object Object]' ? (toJson(thrown) ?? text) : text
    return `${thrown === null ? 'null' : typeof thrown} was thrown: ${said}`.slice(0, most)
  } catch {
    return `${typeof thrown} was thrown`
  }
}
