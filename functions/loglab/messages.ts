/**
 * Messages: windows of a fixed number of lines of a partition, in the order of arrival.
 *
 * The partition is the unit of order, so the lines of each partition are counted; a stream of one partition has
 * windows over the whole stream. Only full windows count: the first closes when it has all of its lines.
 * @module
 */
import type { Context, LifecycleContext } from 'concord'
import { type Panes, type SlidingPanes, slidingPanes, windowOf } from './panes.ts'
import { setting } from './settings.ts'

export interface MessageWindow {
  /** The number of its first line, from 0. */
  readonly from: number
  /** The number of the first line after it. */
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
  /** Whether it is the last line of its pane: then the window of that pane closes. */
  readonly ends: boolean
}

/** Counts a line. */
export function countMessage(ctx: Context, panes: Panes): Message {
  const next = ctx.counter('messages').add()
  const pane = panes.paneOf(next - 1)
  return { number: next - 1, pane, ends: next === panes.startOf(pane + 1) }
}

/** The first window that begins with the first line, or after it. */
export function firstWindow(panes: Panes): number {
  return panes.count - 1
}

export function messageWindowOf(panes: Panes, window: number, partition: number): MessageWindow {
  return { ...windowOf(panes, window), partition }
}
