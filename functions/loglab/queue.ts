/**
 * Queue: what a partition's state has to forget, in the order in which it came, each with the pane it belongs to.
 *
 *   Q1. Forgetting is spread: `push` adds one and forgets at most two, so no record pays for a whole window, and what
 *       is kept of closed panes shrinks as fast as new things come.
 *   Q2. What lies behind something newer waits for it: at most the lateness allowed.
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
