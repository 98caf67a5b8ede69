/**
 * log-match-by-messages: log-match in windows of WINDOW_MESSAGES lines (100,000), sliding by SLIDE_MESSAGES (100,000: tumbling).
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import { parseLine } from './line.ts'
import { type Match, matchesIn, matchOf } from './matches.ts'
import { countMessage, firstWindow, type MessageWindow, messagePanes, messageWindowOf } from './messages.ts'
import { type SlidingPanes, windowOf } from './panes.ts'
import { wordSetting } from './settings.ts'

/** Of a window: a match, or, when it is full, how many there were. */
export type NumberedMatch = MessageWindow & ({ readonly match: Match } | { readonly matches: number })

const output = 'log-matches-by-messages'
let word: string
let panes: SlidingPanes

export default defineFunction({
  metadata: {
    name: 'log-match-by-messages',
    istreams: { logs: groupBy },
    ostreams: [output],
    onError: 'deadLetter',
  },

  init(ctx) {
    word = wordSetting(ctx)
    panes = messagePanes(ctx, 100_000, 100_000)
  },

  processRecord(ctx, record) {
    const { partition } = record
    const line = record.text()
    const parsed = parseLine(line)
    const { number, pane, ends } = countMessage(ctx, panes)
    const send = (result: NumberedMatch) =>
      ctx.produceRecord(output, `${partition}/${result.from}`, JSON.stringify(result))
    if (line.includes(word)) {
      const match = matchOf(parsed)
      matchesIn(ctx, panes).add(number)
      for (let window = Math.max(pane, firstWindow(panes)); window < pane + panes.count; window++)
        send({ ...messageWindowOf(panes, window, partition), match })
    }
    if (!ends) return
    const matches = matchesIn(ctx, panes).close(windowOf(panes, pane).from)
    if (pane >= firstWindow(panes)) send({ ...messageWindowOf(panes, pane, partition), matches })
  },
})
