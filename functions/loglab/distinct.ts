/**
 * Distinct: how many different words lie in each window of a partition, exactly.
 *
 * Kept are, for each word, the panes in which it came; and for each window, by how much its count differs from that of the
 * window before. A word that comes in a pane for the first time is new to those windows around the pane that hold none
 * of its other panes: they are in a row, so two differences change, however many panes a window has.
 *
 *   D1. `close` is called for every window, in order; a window's count is the sum of the differences up to it.
 *   D2. Once a pane has left the last window it was in, nothing of it is counted; its words are forgotten with the
 *       words that come (queue.ts).
 * @module
 */
import type { Context } from 'concord'
import { push } from './queue.ts'

const wordPrefix = 'word/'
const stepPrefix = 'step/'
const countKey = 'count'

/**
 * Adds a word.
 * @param panes Panes in a window.
 * @param closed The last window that was closed.
 */
export function addWord(ctx: Context, word: string, pane: number, panes: number, closed: number): void {
  const oldest = closed + 2 - panes
  const key = wordPrefix + word
  const known = ctx.getJson<number[]>(key) ?? []
  if (known.includes(pane)) return
  const around = known.filter((other) => other >= oldest)
  let before = Number.NEGATIVE_INFINITY
  let after = Number.POSITIVE_INFINITY
  for (const other of around) {
    if (other < pane) before = Math.max(before, other)
    else after = Math.min(after, other)
  }
  const first = Math.max(pane, before + panes)
  const last = Math.min(pane + panes, after) - 1
  if (first <= last) {
    ctx.counter(stepPrefix + first).add(1)
    ctx.counter(stepPrefix + (last + 1)).add(-1)
  }
  around.push(pane)
  ctx.setJson(key, around)
  push(ctx, pane, word, oldest, (old) => forget(ctx, old, oldest))
}

/** @returns The count of the next window, which closes. */
export function closeWindow(ctx: Context, window: number): number {
  const difference = ctx.counter(stepPrefix + window)
  const count = ctx.counter(countKey).add(difference.get())
  difference.delete()
  return count
}

/** @returns The counts so far of the windows behind the last that closed. */
export function openCounts(ctx: Context, closed: number, last: number): Map<number, number> {
  const counts = new Map<number, number>()
  let count = ctx.counter(countKey).get()
  for (let window = closed + 1; window <= last; window++) {
    count += ctx.counter(stepPrefix + window).get()
    counts.set(window, count)
  }
  return counts
}

function forget(ctx: Context, word: string, oldest: number): void {
  const key = wordPrefix + word
  const panes = ctx.getJson<number[]>(key)
  if (panes === undefined) return
  const kept = panes.filter((pane) => pane >= oldest)
  if (kept.length === 0) ctx.deleteState(key)
  else if (kept.length < panes.length) ctx.setJson(key, kept)
}

/** The words of a line: what stands between spaces. */
export function wordsOf(line: string): string[] {
  return line.split(' ').filter((word) => word !== '')
}
