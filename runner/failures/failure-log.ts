/**
 * FailureLog: writes failed callbacks to the function's log: the first ones of each second, and how many were left out, so
 * that many failures fill no disk and are still counted.
 *
 *   FL1. At most `linesPerSecondMax` lines a second, and one more that counts the others.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { ErrorReport } from '../../infra/control/messages/heartbeat.ts'
import type { LogLine } from '../../sdk/api/index.ts'
import { timeText } from '../isolate/index.ts'

const linesPerSecondMax = 20
const secondMs = 1000

/** Whose line of the log it is: of which version, in which instance. */
export type Whose = Pick<LogLine, 'function' | 'version' | 'instance'>

export function whoseOf(
  { function: name, version }: Pick<FunctionAssignment, 'function' | 'version'>,
  instance: string,
): Whose {
  return { function: name, version, instance }
}

interface Left {
  readonly whose: Whose
  readonly action: string
  failures: number
}

function isSame(a: Whose, b: Whose): boolean {
  return a.instance === b.instance && a.version === b.version && a.function === b.function
}

export interface FailureLogOptions {
  readonly clock: Clock
  readonly print: (whose: Whose, message: string) => void
}

export class FailureLog {
  readonly #options: FailureLogOptions
  #endMs = Number.NEGATIVE_INFINITY
  #lines = 0
  /** Failures left out in the current second, of each instance, version and action. */
  #left: Left[] = []
  #cancel: (() => void) | undefined

  constructor(options: FailureLogOptions) {
    this.#options = options
  }

  /** @param error Called only if there is a line for it; undefined for a failure that is only counted. */
  take(whose: Whose, action: string, error: (() => ErrorReport) | undefined): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs >= this.#endMs) this.#begin(nowMs)
    if (error !== undefined && this.#lines < linesPerSecondMax) {
      this.#lines++
      return this.#options.print(whose, textOf(error(), action))
    }
    const isOne = (one: Left): boolean => one.action === action && isSame(one.whose, whose)
    const left = this.#left.find(isOne) // they are few
    if (left === undefined) this.#left.push({ whose, action, failures: 1 })
    else left.failures++
    this.#cancel ??= this.#options.clock.after(this.#endMs - nowMs, () => this.flush())
  }

  /** Writes what was left out so far. */
  flush(): void {
    this.#cancel?.()
    this.#cancel = undefined
    for (const { whose, action, failures } of this.#left) {
      const which = failures === 1 ? '1 more callback' : `${failures} more callbacks`
      this.#options.print(whose, `${which} failed (${action}) and had no line of their own`)
    }
    this.#left = []
  }

  #begin(nowMs: number): void {
    this.flush()
    this.#endMs = nowMs + secondMs
    this.#lines = 0
  }
}

function textOf({ name, message, stack, record, timer }: ErrorReport, action: string): string {
  const ofTimer = timer === undefined ? '' : ` on timer '${timer.key}' for ${timeText(timer.timeMs)}`
  const where =
    record === undefined
      ? ofTimer
      : ` on ${record.stream}/${record.partition} #${record.sequence} key '${record.key}'`
  return `callback failed${where} (${action}): ${stack || `${name}: ${message}`}`
}
