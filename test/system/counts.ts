/**
 * A function whose state and dead letters both show what was lost: it counts records by key, and throws at those that say `bad`.
 * @module
 */

export const name = 'counts'

/** From `said` to `counted`. */
export const source = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { said: groupBy }, ostreams: ['counted'], onError: 'deadLetter' },
  processRecord(ctx, record) {
    if (record.text() === 'bad') throw new Error('bad')
    const count = (ctx.getJson<number>(record.key) ?? 0) + 1
    ctx.setJson(record.key, count)
    ctx.produceRecord('counted', record.key, String(count))
  },
})
`
