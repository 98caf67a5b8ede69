/**
 * log-count-by-messages: how many different words lie in windows of WINDOW_MESSAGES lines (1,000,000), sliding by SLIDE_MESSAGES
 * (100,000).
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import { addWord, closeWindow, wordsOf } from './distinct.ts'
import { parseLine } from './line.ts'
import { countMessage, firstWindow, type MessageWindow, messagePanes, messageWindowOf } from './messages.ts'
import type { Panes } from './panes.ts'

export interface NumberedCount extends MessageWindow {
  readonly words: number
}

const output = 'log-counts-by-messages'
let panes: Panes

export default defineFunction({
  metadata: {
    name: 'log-count-by-messages',
    istreams: { logs: groupBy },
    ostreams: [output],
    onError: 'deadLetter',
  },

  init(ctx) {
    panes = messagePanes(ctx, 1_000_000, 100_000)
  },

  processRecord(ctx, record) {
    const { partition } = record
    const line = record.text()
    parseLine(line) // throws if the line is not a log line, which then is not counted
    const { pane, ends } = countMessage(ctx, panes)
    for (const word of wordsOf(line)) addWord(ctx, word, pane, panes.count, pane - 1)
    if (!ends) return
    const words = closeWindow(ctx, pane)
    if (pane < firstWindow(panes)) return
    const count: NumberedCount = { ...messageWindowOf(panes, pane, partition), words }
    ctx.produceRecord(output, `${partition}/${count.from}`, JSON.stringify(count))
  },
})
