/**
 * IsolateCall: one call into an isolate under three clocks, and the meaning of its failure.
 *
 *   C1. A call always settles: V8's own timeout covers code and microtasks; a deadline of the host covers what V8
 *       cannot interrupt, and calls that never return (seen with looping Proxies and uninterruptible built-ins).
 *   C2. No property of a value that the author's code threw is read here: only isolated-vm's own messages are
 *       matched.
 *   C3. It is known whether the isolate's thread is working: a call is under way until it has itself returned,
 *       however the wait for it ended.
 * @module
 */
import type { Clock } from '../../../infra/clock.ts'

/** How long beyond V8's timeout the host waits for the call to return. */
export const graceMs = 500

/** The failure of a call that is not an error of the author's code. */
export class CallFailure extends Error {
  readonly kind: 'deadline' | 'memory' | 'lost'

  constructor(kind: CallFailure['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

export interface CallLimits {
  readonly limitMs: number
  /** After which time to call `slow`, if the call has not returned. */
  readonly slowMs?: number
  readonly slow?: () => void
}

/** A call of the runtime by the host of an instance. */
export interface GuestCall extends Required<CallLimits> {
  /**
   * Run on this thread: for calls of a fraction of a millisecond without the author's code, where a switch of threads
   * matters.
   */
  readonly here?: boolean
  /** Says what the isolate was doing; called after a failure. */
  readonly doing: () => string
}

export class IsolateCalls {
  readonly #clock: Clock
  #abort: ((failure: CallFailure) => void) | undefined
  /** Calls that have not returned (C3), and who waits for them. */
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

  /** Waits until no call is under way. @returns Whether that happened within `ms`. */
  async noneWithin(ms: number): Promise<boolean> {
    if (this.#inside === 0) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#whenNone.push(() => resolve(true))
    const cancel = this.#clock.after(ms, () => resolve(false))
    return await promise.finally(cancel)
  }

  /**
   * Waits within its limits for a call that has begun. It was begun by the caller, not here: isolated-vm describes ten frames of the
   * stack that calls it, each time.
   */
  run<T>(call: Promise<T>, limits: CallLimits): Promise<T> {
    this.#inside++
    const returned = (): void => {
      if (--this.#inside === 0) for (const none of this.#whenNone.splice(0)) none()
    }
    call.then(returned, returned)
    return this.within(call, limits)
  }

  /** Waits within limits, outside the isolate. */
  within<T>(wait: Promise<T>, { limitMs, slowMs, slow }: CallLimits): Promise<T> {
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
      wait.then(
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

/** Recognizes isolated-vm's own failures by their text; everything else is an error of the code that ran. */
export function failureOf(error: unknown, disposed: boolean): CallFailure | undefined {
  if (error instanceof CallFailure) return error
  const message = error instanceof Error ? error.message : ''
  if (message === 'Script execution timed out.') return new CallFailure('deadline', message)
  if (/memory limit/.test(message)) return new CallFailure('memory', message)
  if (disposed) return new CallFailure('lost', message)
  return undefined
}
