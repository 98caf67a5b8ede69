/**
 * Panes: time, or a sequence of messages, divided into pieces. A window is a number of consecutive panes, and is
 * named by its last pane.
 *
 * If windows slide by one pane and have `count` panes, a pane belongs to the windows pane … pane + count − 1. A
 * tumbling window has a single pane.
 * @module
 */

export interface Panes {
  /** The number of panes in a window. */
  readonly count: number
  paneOf(position: number): number
  startOf(pane: number): number
}

/** Panes of one length. */
export interface SlidingPanes extends Panes {
  readonly slide: number
}

/** Windows of `size` that slide by `slide`, in milliseconds or messages. @throws {RangeError} */
export function slidingPanes(size: number, slide: number, unit: 'MS' | 'MESSAGES'): SlidingPanes {
  if (size % slide !== 0) {
    const text = `Cannot use WINDOW_${unit}=${size} with SLIDE_${unit}=${slide}: the window must be a multiple of the slide`
    throw new RangeError(text)
  }
  return {
    count: size / slide,
    slide,
    paneOf: (position) => Math.floor(position / slide),
    startOf: (pane) => pane * slide,
  }
}

/** Months of UTC. */
export const months: Panes = {
  count: 1,
  paneOf(timeMs) {
    const date = new Date(timeMs)
    return date.getUTCFullYear() * 12 + date.getUTCMonth()
  },
  startOf: (month) => Date.UTC(Math.floor(month / 12), month % 12),
}

/** The start of the window that ends with a pane, and its end (the first position after it). */
export function windowOf(panes: Panes, last: number): { from: number; to: number } {
  return { from: panes.startOf(last - panes.count + 1), to: panes.startOf(last + 1) }
}

/** The same as `windowOf`, for times. */
export function timeWindowOf(panes: Panes, last: number): { from: string; to: string } {
  const { from, to } = windowOf(panes, last)
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
}
