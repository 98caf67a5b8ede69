/**
 * Panes: a line of time, or of messages, cut into pieces; a window is some panes in a row, and is named by its last.
 *
 * Windows that slide by a pane and are `count` panes long: a pane lies in the windows pane … pane + count − 1. A
 * tumbling window is one of a single pane.
 * @module
 */

export interface Panes {
  /** Panes in a window. */
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

/** Where the window that ends with a pane begins, and where it ends (the first position behind it). */
export function windowOf(panes: Panes, last: number): { from: number; to: number } {
  return { from: panes.startOf(last - panes.count + 1), to: panes.startOf(last + 1) }
}

/** As windowOf, of time. */
export function timeWindowOf(panes: Panes, last: number): { from: string; to: string } {
  const { from, to } = windowOf(panes, last)
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
}
