/**
 * log-split: each different word of a line, keyed by the word, at the time that stands in the line. It goes before the counts
 * by time, so that a word is counted in one place however many instances there are.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import { wordsOf } from './distinct.ts'
import { parseLine } from './line.ts'

export default defineFunction({
  metadata: {
    name: 'log-split',
    istreams: { logs: groupBy },
    ostreams: ['log-words'],
    onError: 'deadLetter',
  },

  processRecord(ctx, record) {
    const line = record.text()
    const { timeMs } = parseLine(line)
    for (const word of new Set(wordsOf(line))) ctx.produceRecord('log-words', word, '', { timeMs })
  },
})
