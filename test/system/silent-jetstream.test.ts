/**
 * JetStream that takes no dead letters while shares move: the move waits for them, and none is lost (docs/design/0011-handover.md).
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { connectBus } from '../../infra/bus/index.ts'
import { lettersStream } from '../../infra/dead-letters/index.ts'
import type { DeadLetterSummary } from '../../sdk/api/index.ts'
import { Platform } from './platform.ts'

const name = 'sorts'
const source = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, onError: 'deadLetter' },
  processRecord(ctx, record) { if (Number(record.text()) % 2 === 1) throw new Error('odd') },
})
`
const records = 200
const odd = records / 2

test('shares move while JetStream takes no dead letters: they wait, and each letter is stored in the end', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy(name, source)
  const { nats } = JSON.parse(readFileSync(join(platform.home, 'credentials.json'), 'utf8')) as {
    nats: { gateway: { user: string; password: string } }
  }
  const nc = await connectBus({ url: platform.natsUrl, name: 'test', ...nats.gateway })
  t.after(() => nc.close())
  const { streams } = await jetstreamManager(nc)
  const list = await streams.list().next()
  const { config } = list.find((info) => info.config.name.startsWith('concord-dead-'))!
  assert.equal(config.name, lettersStream(config.name.slice('concord-dead-'.length)))
  await streams.delete(config.name)

  const lines = Array.from({ length: records }, (_, i) => JSON.stringify({ key: `k${i}`, value: String(i) }))
  await platform.json(['produce', `${name}-in`, '--ndjson'], lines.join('\n'))
  await platform.json(['fn', 'scale', name, '2'])
  const waiting = await platform.until(name, (d) => d.instances[1]?.pid !== undefined)
  assert.ok(waiting.ledger[0]!.inFlight >= odd, 'nothing is acknowledged')
  assert.deepEqual(waiting.ledger[0]!.dropped, {})

  await streams.add(config)
  const { ledger } = await platform.until(
    name,
    (d) => d.ledger[0]!.inFlight === 0 && d.instances.every(({ state }) => state === 'running'),
  )
  const { sent, processed, dropped, unaccounted } = ledger[0]!
  assert.deepEqual(
    { sent, processed, dropped, unaccounted },
    { sent: records, processed: records - odd, dropped: { deadLettered: odd }, unaccounted: 0 },
  )
  const letters = await platform.json<DeadLetterSummary[]>(['dlq', 'ls', name, '--limit', String(records)])
  assert.equal(letters.length, odd)
})
