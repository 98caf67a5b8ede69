/**
 * IsolateCall: one call into an isolate under three clocks, and what its failure means.
 *
 *   C1. A call settles: V8's own timeout covers code and microtasks; a deadline of the host covers what V8 cannot
 *       interrupt and calls that never come back (facts: looping Proxies, uninterruptible built-ins).
 *   C2. No property of a value that the author's code threw is read here: only isolated-vm's own messages are matched.
 *   C3. Whether the isolate's thread is at work is known: a call is under way until it has come back by itself, however
 *       its wait ended.
 * @module
 */
import type { Clock } from '../../../infra/clock.ts'

/** Beyond V8's timeout, how long the host waits for the call to come back. */
export const graceMs = 500

/** A call came back as an error that is not the author's. */
export class CallFailure extends Error {
  readonly kind: 'deadline' | 'memory' | 'lost'

  constructor(kind: CallFailure['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

export interface CallLimits {
  readonly limitMs: number
  /** When to call `slow`, if the call has not come back. */
  readonly slowMs?: number
  readonly slow?: () => void
}

/** A call of the runtime by the host of an instance. */
export interface GuestCall extends Required<CallLimits> {
  /** On this thread: of what takes a fraction of a millisecond, and runs none of the author's code, where waiting for another counts. */
  readonly here?: boolean
  /** Says what the isolate was at; asked for when it failed. */
  readonly doing: () => string
}

export class IsolateCalls {
  readonly #clock: Clock
  #abort: ((failure: CallFailure) => void) | undefined
  /** Calls that have not come back (C3), and who waits for that. */
  #inside = 0
  #whenNone: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get busy(): boolean {
    return this.#abort !== undefined
  }

  /** Ends the wait for the call under way, if any: the isolate is lost or was disposed of. */
  abort(failure: CallFailure): void {
    this.#abort?.(failure)
  }

  /** Waits until no call is under way. @returns Whether that came about within `ms`. */
  async noneWithin(ms: number): Promise<boolean> {
    if (this.#inside === 0) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#whenNone.push(() => resolve(true))
    const cancel = this.#clock.after(ms, () => resolve(false))
    return await promise.finally(cancel)
  }

  /** Counts a call into the isolate until it has come back. */
  async inside<T>(call: () => Promise<T>): Promise<T> {
    this.#inside++
    try {
      return await call()
    } finally {
      if (--this.#inside === 0) for (const none of this.#whenNone.splice(0)) none()
    }
  }

  /** Waits for `call` within its limits. */
  run<T>(call: () => Promise<T>, { limitMs, slowMs, slow }: CallLimits): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = (): void => {
        settle()
        reject(new CallFailure('deadline', 'it did not come back'))
      }
      let cancel =
        slow === undefined || slowMs === undefined
          ? this.#clock.after(limitMs + graceMs, late)
          : this.#clock.after(slowMs, () => {
              slow()
              cancel = this.#clock.after(limitMs + graceMs - slowMs, late)
            })
      const settle = (): void => {
        cancel()
        this.#abort = undefined
      }
      this.#abort = (failure) => {
        settle()
        reject(failure)
      }
      call().then(
        (value) => {
          settle()
          resolve(value)
        },
        (error: unknown) => {
          settle()
          reject(error)
        },
      )
    })
  }
}

/** Tells isolated-vm's own failures by their text; what else there is, is an error of the code that ran. */
export function failureOf(error: unknown, disposed: boolean): CallFailure | undefined {
  if (error instanceof CallFailure) return error
  const message = error instanceof Error ? error.message : ''
  if (message === 'Script execution timed out.') return new CallFailure('deadline', message)
  if (/memory limit/.test(message)) return new CallFailure('memory', message)
  if (disposed) return new CallFailure('lost', message)
  return undefined
}
