/**
 * SteadyClock: the time that the core goes by: wall time as it was when this began, and what has passed since.
 *
 * A wall clock that is set, by hand or by NTP, moves neither back-offs nor deadlines that are counted in it.
 * @module
 */
import type { Clock } from '../infra/clock.ts'

/** Answers milliseconds since 1970, as `clock` had them at the call, that only pass. */
export function steadyClock(clock: Pick<Clock, 'nowMs' | 'monotonicMs'>): () => number {
  const offsetMs = clock.nowMs() - clock.monotonicMs()
  return () => Math.round(offsetMs + clock.monotonicMs())
}
