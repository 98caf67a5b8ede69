/**
 * score, version 2 of the demo's model: the one of functions/clicks/, which looks at what a client does.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import type { Click } from '../../clicks/click.ts'
import { judge, observe, type Profile } from '../../clicks/model.ts'

export default defineFunction({
  metadata: { name: 'score', istreams: { clicks: groupBy }, ostreams: ['verdicts'] },

  processRecord(ctx, record) {
    const click = record.json<Click>()
    const profile = observe(ctx.getJson<Profile>(click.client), click)
    ctx.setJson(click.client, profile)
    ctx.produceRecord(
      'verdicts',
      click.client,
      JSON.stringify({ ...judge(click.client, profile), version: 2 }),
    )
  },
})
