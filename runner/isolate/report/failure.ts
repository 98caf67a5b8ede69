/**
 * Failure: a callback that threw for good. Its error is parsed and mapped on request, since most failures are only
 * counted.
 * @module
 */
import type { ErrorReport } from '../../../infra/control/messages/heartbeat.ts'
import { isStackless, type OutcomeReport, type Timer } from '../../../sdk/runtime/index.ts'
import type { IsolateOptions, RecordFailure } from '../types.ts'
import { parseReport } from './report.ts'
import type { StackMap } from './stack-map.ts'

class Failure implements RecordFailure {
  readonly index: number
  readonly action: RecordFailure['action']
  readonly attempts: number
  readonly told: boolean
  readonly timer?: Timer
  readonly #report: OutcomeReport
  readonly #stackMap: StackMap
  readonly #timeMs: number
  #error: ErrorReport | undefined

  constructor(report: OutcomeReport, action: RecordFailure['action'], stackMap: StackMap, timeMs: number) {
    this.index = report.of === 'record' ? report.index : Number.POSITIVE_INFINITY
    this.action = action
    this.attempts = report.attempts
    this.told = report.text !== undefined
    if (report.timer !== undefined) this.timer = report.timer
    this.#report = report
    this.#stackMap = stackMap
    this.#timeMs = timeMs
  }

  get stackless(): boolean {
    const { text } = this.#report
    return text !== undefined && isStackless(text)
  }

  get error(): ErrorReport {
    this.#error ??= readReport(this.#report, this.#stackMap, this.#timeMs)
    return this.#error
  }
}

/** The failures in reports. A callback that succeeded at a later attempt is none; it is only logged. */
export function failuresOf(
  reports: readonly OutcomeReport[],
  stackMap: StackMap,
  nowMs: number,
  log: IsolateOptions['log'],
): RecordFailure[] {
  return reports.flatMap((report) => {
    if (report.reaction !== 'retried') return [new Failure(report, report.reaction, stackMap, nowMs)]
    const after = inOneLine(readReport(report, stackMap, nowMs))
    log('warn', `A callback went through at attempt ${report.attempts}, after ${after}`)
    return []
  })
}

/** The error in a report, with the author's lines. */
function readReport({ text }: OutcomeReport, stackMap: StackMap, timeMs: number): ErrorReport {
  return parseReport(text ?? '', stackMap, timeMs)
}

/** An error in a sentence, with its place. */
export function inOneLine({ name, message, at }: ErrorReport): string {
  return `${name}: ${message}${at === undefined ? '' : ` at ${at}`}`
}
