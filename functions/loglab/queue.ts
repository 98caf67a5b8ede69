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

const endsKey = 'queue'
const itemPrefix = 'queue/'
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
  let [head, tail] = ctx.getJson<[number, number]>(endsKey) ?? [0, 0]
  ctx.setJson(itemPrefix + tail++, [pane, name] satisfies Item)
  for (let i = 0; i < forgottenAtOnce; i++) {
    const [itsPane, itsName] = ctx.getJson<Item>(itemPrefix + head) ?? [oldest, '']
    if (itsPane >= oldest) break
    ctx.deleteState(itemPrefix + head++)
    forget(itsName)
  }
  ctx.setJson(endsKey, [head, tail])
}
