/**
 * split: a line of text becomes words, keyed by the word.
 * @module
 */
import { defineFunction, shuffle } from 'concord'

export default defineFunction({
  metadata: { name: 'split', istreams: { text: shuffle }, ostreams: ['words'] },

  processRecord(ctx, record) {
    for (const word of record
      .text()
      .toLowerCase()
      .match(/\p{L}+/gu) ?? [])
      ctx.produceRecord('words', word, '')
  },
})
