/**
 * Matches: what a match is, and the result sets of windows.
 *
 * A match leaves at once, once for each window it lies in, under the window's key; when the window closes, one more record
 * under that key says how many there were. So a set of any size costs one number of state.
 * @module
 */
import type { Context } from 'concord'
import type { LogLine } from './line.ts'

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

const setPrefix = 'set/'

/** Counts a match of a window. */
export function countMatch(ctx: Context, window: number): void {
  const key = setPrefix + window
  ctx.setJson(key, (ctx.getJson<number>(key) ?? 0) + 1)
}

/** @returns How many matches a window had; it is forgotten. */
export function takeMatches(ctx: Context, window: number): number {
  const key = setPrefix + window
  const count = ctx.getJson<number>(key) ?? 0
  if (count > 0) ctx.deleteState(key)
  return count
}
