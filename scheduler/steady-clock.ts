/**
 * SteadyClock: the core's time: the wall time at the start, plus the monotonic time since.
 *
 * Setting the wall clock, by hand or by NTP, therefore moves neither back-offs nor deadlines.
 * @module
 */
import type { Clock } from '../infra/clock.ts'

/** Returns a clock of milliseconds since 1970, which starts at `clock`'s wall time and never jumps. */
export function steadyClock(clock: Pick<Clock, 'nowMs' | 'monotonicMs'>): () => number {
  const offsetMs = clock.nowMs() - clock.monotonicMs()
  return () => Math.round(offsetMs + clock.monotonicMs())
}
