/**
 * score, version 1 of the demo's model: it believes what a User-Agent says. It already collects whole profiles, which
 * the next version uses when it takes over.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import { agentKind } from '../../clicks/agent.ts'
import type { Click } from '../../clicks/click.ts'
import { observe, type Profile } from '../../clicks/model.ts'

export default defineFunction({
  metadata: { name: 'score', istreams: { clicks: groupBy }, ostreams: ['verdicts'] },

  processRecord(ctx, record) {
    const click = record.json<Click>()
    const profile = observe(ctx.getJson<Profile>(click.client), click)
    ctx.setJson(click.client, profile)
    const kind = agentKind(click.agent)
    const fraud = kind === 'scripted' || kind === 'empty'
    const verdict = { client: click.client, count: profile.count, score: fraud ? 1 : 0, fraud }
    ctx.produceRecord('verdicts', click.client, JSON.stringify({ ...verdict, version: 1 }))
  },
})
