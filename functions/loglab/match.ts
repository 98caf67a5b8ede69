/**
 * log-match: lines that contain a word (WORD, default IRQ), taken apart into time, host, user and payload.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import { parseLine } from './line.ts'
import { matchOf } from './matches.ts'
import { wordSetting } from './settings.ts'

let word: string

export default defineFunction({
  metadata: {
    name: 'log-match',
    istreams: { logs: groupBy },
    ostreams: ['log-matches'],
    onError: 'deadLetter',
  },

  init(ctx) {
    word = wordSetting(ctx)
  },

  processRecord(ctx, record) {
    const line = record.text()
    const parsed = parseLine(line)
    if (line.includes(word)) ctx.produceRecord('log-matches', parsed.host, JSON.stringify(matchOf(parsed)))
  },
})
