/**
 * LagText: how long the oldest record in flight has waited.
 * @module
 */
import { secondsText } from '../terminal.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** `355 ms`, `8.7 s`, `12 min`, `5 h`; undefined: not known. */
export function lagText(lagMs: number | undefined): string {
  if (lagMs === undefined) return '-'
  if (lagMs < 2 * minuteMs) return lagMs === 0 ? '0' : secondsText(lagMs)
  return lagMs < 2 * hourMs ? `${Math.round(lagMs / minuteMs)} min` : `${Math.round(lagMs / hourMs)} h`
}
