import { defineFunction, groupBy } from 'concord'

/** Repeats each word as loud as it has been heard often: one more '!' each time. */
export default defineFunction({
  metadata: {
    name: '{{name}}',
    istreams: { words: groupBy }, // records of one key come to one instance, in order
    ostreams: ['loud'],
  },

  processRecord(ctx, record) {
    const heard = (ctx.getJson<number>(record.key) ?? 0) + 1
    ctx.setJson(record.key, heard)
    ctx.produceRecord('loud', record.key, record.text().toUpperCase() + '!'.repeat(heard))
  },
})
