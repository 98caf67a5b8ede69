import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Platform, Reader } from './platform.ts'

const shout = `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'shout', istreams: { words: groupBy }, ostreams: ['loud'] },
  processRecord(ctx, record) {
    ctx.produceRecord('loud', record.key, record.text().toUpperCase())
  },
})
`

test('the whole road: deploy a file, produce, consume, redeploy, remove', { timeout: 400_000 }, async (t) => {
  const platform = await Platform.start(t)
  const file = join(platform.home, 'shout.ts')
  writeFileSync(file, shout)

  await platform.json(['stream', 'create', 'loud'])
  const reader = await Reader.start(t, platform, ['loud'])

  const startMs = performance.now()
  const deployed = await platform.json<{ name: string; version: number }>(['fn', 'deploy', file])
  assert.equal(deployed.name, 'shout')
  assert.equal(deployed.version, 1)
  await platform.json(['produce', 'words', '--key', 'k'], 'hello\nworld\n')
  await reader.read(2)
  t.diagnostic(`deploy command to first outputs: ${Math.round(performance.now() - startMs)} ms`)
  assert.deepEqual(
    reader.records.map((r) => [r['key'], r['value']]),
    [
      ['k', 'HELLO'],
      ['k', 'WORLD'],
    ],
  )

  writeFileSync(file, shout.replace('toUpperCase()', "toUpperCase() + '!'"))
  const again = await platform.json<{ version: number }>(['fn', 'deploy', file])
  assert.equal(again.version, 2)
  await platform.json(['produce', 'words', '--key', 'k'], 'again\n')
  await reader.read(3)
  assert.equal(reader.records[2]!['value'], 'AGAIN!')

  const detail = await platform.until(
    'shout',
    (d) => d.ledger[0]?.inFlight === 0 && d.ledger[0].processed === 3,
  )
  assert.deepEqual(
    { ...detail.ledger[0] },
    {
      stream: 'words',
      sent: 3,
      processed: 3,
      dropped: {},
      inFlight: 0,
      lagMs: 0,
      unaccounted: 0,
      stateLost: 0,
    },
  )

  const measured = await platform.until('shout', (d) => d.instances[0]?.metricsUrl !== undefined)
  const metrics = await (await fetch(measured.instances[0]!.metricsUrl!)).text()
  assert.match(
    metrics,
    /concord_runner_records_in_total\{function="shout",instance="shout-0",process="runner",namespace="default"\} 3/,
  ) // v2 has taken over in place
  assert.match(metrics, /concord_runner_memory_bytes\{account="process",.*\} \d{7,}/)
  assert.match(metrics, /concord_runner_memory_bound_bytes\{.*\} \d{7,}/)

  const graph = await platform.cli(['graph'])
  assert.match(graph.stdout, /words[\s\S]*shout[\s\S]*loud/)
  await platform.json(['fn', 'rm', 'shout'])
  const gone = await platform.cli(['fn', 'inspect', 'shout'])
  assert.equal(gone.code, 4, gone.stderr)
})

test('curl of one source file is a deploy', { timeout: 400_000 }, async (t) => {
  const platform = await Platform.start(t)
  const { token } = JSON.parse(
    (await import('node:fs')).readFileSync(join(platform.home, 'client.json'), 'utf8'),
  ) as { token: string }
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-www-form-urlencoded' } // as curl --data-binary sends it
  const response = await fetch(`${platform.url}/v1/functions?file=fn.ts`, {
    method: 'POST',
    headers,
    body: shout,
  })
  assert.equal(response.status, 200, await response.clone().text())
  await platform.until('shout', (d) => d.state === 'running')
})

test('plain NATS clients send records in and read a raw stream', { timeout: 400_000 }, async (t) => {
  const platform = await Platform.start(t)
  await platform.json(['stream', 'create', 'loud', '--raw'])
  await platform.deploy('shout', shout)
  const { connect, headers } = await import('@nats-io/transport-node')
  const { client } = JSON.parse(
    (await import('node:fs')).readFileSync(join(platform.home, 'credentials.json'), 'utf8'),
  ).nats as { client: { user: string; password: string } }
  const nc = await connect({ servers: platform.natsUrl, user: client.user, pass: client.password })
  t.after(() => nc.close())
  const out = nc.subscribe('concord.default.out.loud', { max: 1 })
  await nc.flush()
  const h = headers()
  h.set('Concord-Key', 'nats')
  nc.publish('concord.default.in.words', 'plain', { headers: h })
  for await (const message of out) assert.equal(message.string(), 'PLAIN')
})
