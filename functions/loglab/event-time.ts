/**
 * EventTime: how far the time in the lines of a partition has advanced, and which windows that closes.
 *
 * The watermark is the latest time seen minus the allowed lateness.
 *
 *   T1. A line before the watermark is late: it is refused, so that the function's policy counts it.
 *   T2. A window closes once, in the order of windows, when the watermark has reached its end. So no accepted line
 *       belongs to a closed window.
 *   T3. One call closes at most as many windows as lateness and window have panes, however far the time jumps.
 *
 * Everything that it knows about a partition is one value in its state.
 * @module
 */
import type { Context } from 'concord'
import type { Panes } from './panes.ts'

export interface Progress {
  readonly watermarkMs: number
  /** The last window that has closed. */
  readonly closed: number
  /** The newest pane that a line lies in. */
  readonly newest: number
}

export interface Step extends Progress {
  /** The pane of the line; the newest one where there is none. */
  readonly pane: number
  /** The windows that close now, in order. */
  readonly closing: readonly number[]
}

const stateKey = 'time'

export class EventTime {
  readonly #panes: Panes
  readonly #latenessMs: number

  constructor(panes: Panes, latenessMs: number) {
    this.#panes = panes
    this.#latenessMs = latenessMs
  }

  /** Accepts the time of a line. @throws {RangeError} If it is late (T1). */
  advance(ctx: Context, timeMs: number): Step {
    const pane = this.#panes.paneOf(timeMs)
    const known = this.progress(ctx)
    if (known !== undefined && timeMs < known.watermarkMs) throw late(timeMs, known.watermarkMs)
    const watermarkMs = timeMs - this.#latenessMs
    if (known !== undefined && watermarkMs <= known.watermarkMs && pane <= known.newest)
      return { ...known, pane, closing: [] }
    const first = { watermarkMs, closed: this.#panes.paneOf(watermarkMs) - 1, newest: pane }
    return this.#move(ctx, known ?? first, watermarkMs, pane)
  }

  /** Closes every window that has lines, because no more are expected. */
  closeAll(ctx: Context): Step {
    const known = this.progress(ctx)!
    return this.#move(ctx, known, this.#panes.startOf(known.newest + this.#panes.count), known.newest)
  }

  /** What is known about the current partition; undefined before its first line. */
  progress(ctx: Context): Progress | undefined {
    return ctx.getJson<Progress>(stateKey)
  }

  #move(ctx: Context, from: Progress, toMs: number, pane: number): Step {
    const watermarkMs = Math.max(from.watermarkMs, toMs)
    const reached = this.#panes.paneOf(watermarkMs) - 1
    // The window after those of the newest pane closes with them: it is empty, and its count is 0 (T3).
    const last = Math.min(reached, from.newest + this.#panes.count)
    const closing: number[] = []
    for (let window = from.closed + 1; window <= last; window++) closing.push(window)
    const closed = Math.max(from.closed, reached)
    const progress: Progress = { watermarkMs, closed, newest: Math.max(from.newest, pane) }
    ctx.setJson(stateKey, progress)
    return { ...progress, pane, closing }
  }
}

function late(timeMs: number, watermarkMs: number): RangeError {
  const [time, open] = [timeMs, watermarkMs].map((ms) => new Date(ms).toISOString())
  return new RangeError(
    `Cannot take a line of ${time}: it is late, what came before ${open} is closed (LATENESS_MS allows more)`,
  )
}
