import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NatsConnection } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { JetStreamWatch } from './jetstream-watch.ts'

test('JetStreamWatch says for how long JetStream has not answered, or has had no leader, until it answers', async () => {
  const clock = new ManualClock()
  let answer: () => Promise<unknown> = async () => ({ memory: 0 })
  const asked: string[] = []
  const request = async (subject: string) => {
    asked.push(subject)
    const told = await answer()
    return { json: () => told }
  }
  const watch = new JetStreamWatch({
    clock,
    nc: { request: request as unknown as NatsConnection['request'] },
  })
  /** Lets the next look take place, and its answer arrive. */
  const later = async (ms: number) => {
    clock.advance(ms)
    await new Promise(setImmediate)
    return watch.silence?.split(':')[0]
  }
  await watch.start()
  assert.equal(await later(0), undefined)
  answer = () => Promise.reject(new Error('timeout'))
  assert.equal(await later(2_000), 'JetStream has not answered this gateway for 0 s')
  answer = async () => ({ error: { code: 503, description: 'JetStream system temporarily unavailable' } })
  assert.equal(await later(7_000), 'JetStream has not answered this gateway for 7 s')
  await assert.rejects(watch.ask(), /temporarily unavailable/)
  answer = async () => ({ memory: 0 })
  assert.equal(await later(2_000), undefined)
  watch.close()
  const before = asked.length
  await later(10_000)
  assert.equal(asked.length, before, 'closed')
  assert.deepEqual(new Set(asked), new Set(['$JS.API.INFO']))
})
