/**
 * score: keeps a profile of each client and gives a verdict on each of its clicks. The model is in model.ts.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import type { Click } from './click.ts'
import { judge, observe, type Profile } from './model.ts'

export default defineFunction({
  metadata: { name: 'score', istreams: { clicks: groupBy }, ostreams: ['verdicts'] },

  processRecord(ctx, record) {
    const click = record.json<Click>()
    const profile = observe(ctx.getJson<Profile>(click.client), click)
    ctx.setJson(click.client, profile)
    ctx.produceRecord('verdicts', click.client, JSON.stringify(judge(click.client, profile)))
  },
})
