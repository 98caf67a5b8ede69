/**
 * Clock: time as a parameter. Processes wire in `systemClock`; tests move a ManualClock by hand.
 * @module
 */

export interface Clock {
  /** Wall time, milliseconds since 1970. */
  nowMs(): number
  /** Monotonic time in milliseconds, for durations. */
  monotonicMs(): number
  /** Calls `run` once after `delayMs`. @returns A function that cancels it. */
  after(delayMs: number, run: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Resolves after `ms`. */
export function sleep(clock: Pick<Clock, 'after'>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  clock.after(ms, resolve)
  return promise
}

interface Alarm {
  readonly dueMs: number
  readonly run: () => void
}

/** A clock that stands still until `advance` is called; alarms run in order of their due time. */
export class ManualClock implements Clock {
  #nowMs: number
  /** What the wall clock shows beyond that. */
  #aheadMs = 0
  readonly #alarms = new Set<Alarm>()

  constructor(nowMs = 0) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs + this.#aheadMs
  }

  /** Sets the wall clock; monotonic time and alarms stay as they are. */
  set(nowMs: number): void {
    this.#aheadMs = nowMs - this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const alarm = { dueMs: this.#nowMs + Math.max(0, delayMs), run }
    this.#alarms.add(alarm)
    return () => this.#alarms.delete(alarm)
  }

  /** Whether an alarm is set. */
  get isAwaited(): boolean {
    return this.#alarms.size > 0
  }

  /** Moves time on and runs the alarms that fall due, including those set by these. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = this.#nextUntil(untilMs)
      if (next === undefined) break
      this.#alarms.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.run()
    }
    this.#nowMs = untilMs
  }

  /** Of those that fall due at the same time, the one set first: a Set is in that order. */
  #nextUntil(untilMs: number): Alarm | undefined {
    let next: Alarm | undefined
    for (const alarm of this.#alarms)
      if (alarm.dueMs <= untilMs && (next === undefined || alarm.dueMs < next.dueMs)) next = alarm
    return next
  }
}
