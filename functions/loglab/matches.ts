/**
 * Matches: a match, and the result sets of windows.
 *
 * A match is sent at once, once for each window that contains it, under the window's key. When the window closes, one
 * more record under that key says how many matches there were. So a set of any size needs only one number of state.
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

/** The number of matches in each window. The position of a match is its time, or the number of its line. */
export function matchesIn(ctx: Context, { count, slide }: SlidingPanes): Windows {
  return ctx.windows('matches', { size: count * slide, every: slide })
}
