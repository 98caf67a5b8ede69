/**
 * Starts: how long an instance takes to start: from its place in a runner until its heartbeat shows that it works. That
 * includes the fetch, the process, the isolate and `init`, and not the wait for room.
 *
 *   ST1. Only starts that this leader has seen from the beginning are measured.
 *   ST2. A start during which NATS was away is not measured: its end could not be seen.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */
import type { FunctionState, Seat, State } from './state.ts'

/** Notes that an instance works from now on. */
export function noteServing(fn: FunctionState, { placedAtMs }: Readonly<Seat>, nowMs: number): void {
  if (placedAtMs !== undefined) fn.startMs = nowMs - placedAtMs
}

/** The latest start of an instance; or one that is under way, if it takes longer already. Undefined: none is known. */
export function startMsOf(state: State, name: string, nowMs: number): number | undefined {
  const fn = state.functions.get(name)
  if (fn?.startMs === undefined) return undefined
  const underWay = fn.slots.flatMap(({ phase, seat }) =>
    (phase === 'launching' || phase === 'starting') && seat?.placedAtMs !== undefined
      ? [nowMs - seat.placedAtMs]
      : [],
  )
  return Math.max(fn.startMs, ...underWay)
}
