/**
 * score, the bad version of the demo: clients from a site that frauds come from are judged more severely. Its author
 * tested it only with clicks that have a referrer; `new URL('')` throws.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import type { Click } from '../../clicks/click.ts'
import { judge, observe, type Profile, threshold } from '../../clicks/model.ts'

const badSites = new Set(['t.co', 'clicks.example'])

export default defineFunction({
  metadata: { name: 'score', istreams: { clicks: groupBy }, ostreams: ['verdicts'] },

  processRecord(ctx, record) {
    const click = record.json<Click>()
    const profile = observe(ctx.getJson<Profile>(click.client), click)
    ctx.setJson(click.client, profile)
    const verdict = judge(click.client, profile)
    const more = badSites.has(new URL(click.referrer).host) ? 0.1 : 0
    const score = Math.min(1, verdict.score + more)
    const fraud = score >= threshold
    ctx.produceRecord('verdicts', click.client, JSON.stringify({ ...verdict, score, fraud, version: 3 }))
  },
})
