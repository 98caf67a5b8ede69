/**
 * count: how often each word came so far.
 *
 * `groupBy` sends equal words to the same partition, so a count is kept in one place only.
 * @module
 */
import { defineFunction, groupBy } from 'concord'

export default defineFunction({
  metadata: { name: 'count', istreams: { words: groupBy }, ostreams: ['counts'] },

  processRecord(ctx, record) {
    const count = (ctx.getJson<number>(record.key) ?? 0) + 1
    ctx.setJson(record.key, count)
    ctx.produceRecord('counts', record.key, String(count))
  },
})
