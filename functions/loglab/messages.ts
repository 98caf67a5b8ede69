/**
 * Messages: windows of so many lines of a partition, in the order in which they came.
 *
 * A partition is the unit of order, so it is its lines that are counted; a stream of one partition has windows of the
 * whole stream. Only full windows count: the first closes when as many lines have come as it holds.
 * @module
 */
import type { Context, LifecycleContext } from 'concord'
import { type Panes, type SlidingPanes, slidingPanes, windowOf } from './panes.ts'
import { setting } from './settings.ts'

export interface MessageWindow {
  /** Number of the first line in it, from 0. */
  readonly from: number
  /** Number of the first line behind it. */
  readonly to: number
  readonly partition: number
}

export function messagePanes(ctx: LifecycleContext, window: number, slide: number): SlidingPanes {
  const slideMessages = setting(ctx, 'SLIDE_MESSAGES', slide, 1)
  return slidingPanes(setting(ctx, 'WINDOW_MESSAGES', window, 1), slideMessages, 'MESSAGES')
}

export interface Message {
  /** From 0. */
  readonly number: number
  readonly pane: number
  /** Whether it is the pane's last: the window of that pane closes then. */
  readonly ends: boolean
}

/** Counts a line. */
export function countMessage(ctx: Context, panes: Panes): Message {
  const next = ctx.counter('messages').add()
  const pane = panes.paneOf(next - 1)
  return { number: next - 1, pane, ends: next === panes.startOf(pane + 1) }
}

/** The first window that begins with the first line or behind it. */
export function firstWindow(panes: Panes): number {
  return panes.count - 1
}

export function messageWindowOf(panes: Panes, window: number, partition: number): MessageWindow {
  return { ...windowOf(panes, window), partition }
}
