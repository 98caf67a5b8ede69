/**
 * Queue: what the state of a partition has to forget, in order of arrival, each with its pane.
 *
 *   Q1. Forgetting is spread out: `push` adds one name and forgets at most two. So no record pays for a whole window,
 *       and what is kept of closed panes shrinks as fast as new names arrive.
 *   Q2. A name behind a newer one waits for it, at most for the allowed lateness.
 * @module
 */
import type { Context } from 'concord'

type Item = readonly [pane: number, name: string]

const forgottenAtOnce = 2

/**
 * Adds a name, and calls `forget` for names of panes before `oldest` that were added long ago.
 * @param oldest The oldest pane that still matters.
 */
export function push(
  ctx: Context,
  pane: number,
  name: string,
  oldest: number,
  forget: (name: string) => void,
): void {
  const queue = ctx.list<Item>('queue')
  queue.push([pane, name])
  for (let i = 0; i < forgottenAtOnce; i++) {
    const [itsPane, itsName] = queue.at(0)!
    if (itsPane >= oldest) return
    queue.shift()
    forget(itsName)
  }
}
