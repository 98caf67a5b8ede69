/**
 * Matches: what a match is, and the result sets of windows.
 *
 * A match leaves at once, once for each window it lies in, under the window's key; when the window closes, one more record
 * under that key says how many there were. So a set of any size costs one number of state.
 * @module
 */
import type { Context, Windows } from 'concord'
import type { LogLine } from './line.ts'
import type { SlidingPanes } from './panes.ts'

export interface Match {
  /** Of the line, ISO 8601. */
  readonly time: string
  readonly host: string
  /** Null where the line names none. */
  readonly user: string | null
  readonly payload: string
}

export function matchOf({ timeMs, host, user, payload }: LogLine): Match {
  return { time: new Date(timeMs).toISOString(), host, user: user ?? null, payload }
}

/** How many matches lie in each window; a match lies at a time, or at the number of its line. */
export function matchesIn(ctx: Context, { count, slide }: SlidingPanes): Windows {
  return ctx.windows('matches', { size: count * slide, every: slide })
}
