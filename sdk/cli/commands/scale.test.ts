import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scaleSettingsSchema } from '../../scaling/index.ts'
import { assertFails, concord, gatewayOf, lastJson } from '../test-cli.ts'

test('fn scale says how many instances are wanted, and waits until they run', async (t) => {
  let looks = 0
  const { env, received } = await gatewayOf(t, ({ method }) => {
    if (method === 'PUT') return { status: 200, json: { instances: 3, pinned: false } }
    looks += 1
    const instances = Array.from({ length: looks < 3 ? 1 : 3 }, () => ({
      ...{ version: 1, state: 'running', why: 'the best misses 1 cpus' },
    }))
    return { status: 200, json: { version: 1, instances, instancesRunning: instances.length } }
  })
  const { stdout } = await concord(['fn', 'scale', 'score', '3'], { env })
  assert.equal(stdout, 'score has 3 instances.\n')
  assert.equal(looks, 3)
  assert.deepEqual(lastJson(await concord(['fn', 'scale', 'score', '1', '--no-wait', '--json'], { env })), {
    name: 'score',
    instances: 1,
    pinned: false,
  })
  assert.equal(`${received[0]!.method} ${received[0]!.path}`, 'PUT /v1/functions/score/instances')
  assertFails(
    await concord(['fn', 'scale', 'score', '4', '--timeout', '0.2'], { env }),
    7,
    /score has 3 instances after 0.2 s, 4 are wanted: the best misses 1 cpus; 'concord fn inspect score'/,
  )
  const waits = { version: 2, state: 'waiting', why: 'no machine has 500 cpus: the largest has 2' }
  const { env: stuck } = await gatewayOf(t, ({ method }) => {
    const instances = [{ version: 1, state: 'running', why: 'it works on until version 2 has room' }, waits]
    const detail = { version: 2, instances, instancesRunning: 1 }
    return { status: 200, json: method === 'PUT' ? { instances: 1, pinned: false } : detail }
  })
  assertFails(
    await concord(['fn', 'scale', 'score', '1', '--timeout', '0.2'], { env: stuck }),
    7,
    /score has 0 instances \(1 of an earlier version works on\) after 0.2 s, 1 are wanted: no machine has 500 cpus/,
  )
  assertFails(await concord(['fn', 'scale', 'score', 'many'], { env }), 2, /many/)
})

test('fn scale says that a number is a pin, removes the pin with --auto, and refuses contradicting options', async (t) => {
  const { env, received } = await gatewayOf(t, ({ body }) => ({
    status: 200,
    json: { instances: 5, pinned: String(body).includes('5') },
  }))
  const pinned = await concord(['fn', 'scale', 'score', '5', '--no-wait'], { env })
  assert.equal(
    pinned.stdout,
    "score will have 5 instances. Its policy is paused until 'concord fn scale score --auto'.\n",
  )
  const auto = await concord(['fn', 'scale', 'score', '--auto'], { env })
  assert.equal(auto.stdout, 'score is scaled by its policy; it has 5 instances now.\n')
  assert.equal(String(received.at(-1)!.body), '{"auto":true}')
  assertFails(await concord(['fn', 'scale', 'score'], { env }), 2, /Say one of: a number of instances/)
  assertFails(await concord(['fn', 'scale', 'score', '2', '--auto'], { env }), 2, /Say one of/)
})

test('fn scale --mem --cpus waits until instances with other resources have taken over', async (t) => {
  let looks = 0
  const { env, received } = await gatewayOf(t, ({ method }) => {
    if (method === 'PATCH')
      return {
        status: 200,
        json: { name: 'score', version: 2, bundleSha256: 'x', bundleBytes: 1, changed: true },
      }
    looks += 1
    const one = (version: number) => ({ version, state: 'running' })
    const instances = looks < 2 ? [one(1)] : looks < 4 ? [one(1), one(2)] : [one(2)]
    const instancesRunning = instances.filter(({ version }) => version === 2).length
    const manifest = { resources: { memMib: 512, cpus: 1 } }
    return {
      status: 200,
      json: { name: 'score', version: 2, instances, instancesRunning, instancesWanted: 1, manifest },
    }
  })
  const { stdout } = await concord(['fn', 'scale', 'score', '--mem', '512', '--cpus', '1'], { env })
  assert.equal(
    stdout,
    'score v2 has 512 MiB and 1 cpus per instance.\nThey stay over deploys, until the resources in its concord.jsonc change.\n',
  )
  assert.ok(looks >= 4)
  const { method, path, body } = received[0]!
  assert.equal(`${method} ${path}`, 'PATCH /v1/functions/score/resources')
  const { author: _, ...sent } = JSON.parse(String(body)) as Record<string, unknown>
  assert.deepEqual(sent, { cpus: 1, memMib: 512, message: 'fn scale --mem 512 --cpus 1' })
  assertFails(await concord(['fn', 'scale', 'score', '3', '--mem', '512'], { env }), 2, /Say one of/)
})

test('fn scale --why shows policy, load and changes with their reasons', async (t) => {
  const policy = scaleSettingsSchema.parse({ min: 1, max: 8 })
  const load = {
    atMs: 0,
    instances: 3,
    demand: 1234,
    backlog: 99,
    inFlight: 99,
    processed: 1200,
    busy: 2.5,
    cpu: 0.3,
    startMs: 1234,
    timers: 0,
  }
  const because = '1234 records/s come: 3 needed'
  const json = {
    ...{ name: 'score', instancesWanted: 3, instancesRunning: 2, policy, pinned: true },
    changes: [{ atMs: 1_000, from: 1, to: 3, because }],
    latest: { atMs: 2_000, instances: 3, because, load },
  }
  const { env } = await gatewayOf(t, () => ({ status: 200, json }))
  const { stdout } = await concord(['fn', 'scale', 'score', '--why'], { env })
  assert.match(
    stdout,
    /^score: 2 of 3 instances run\nIts policy: 1 to 8 instances, at most 1000 ms behind\nSet by a person/,
  )
  assert.match(
    stdout,
    /s ago: 1\.2 ?k records\/s come, .* 99 wait, 2\.5 instances busy, .* a start takes 1\.2 s\n/,
  )
  assert.match(stdout, /1970-01-01T00:00:01\.000Z +1 → 3 +1234 records\/s come: 3 needed/)
  assert.deepEqual(lastJson(await concord(['fn', 'scale', 'score', '--why', '--json'], { env })), json)
})

test('fn scale --cpus --no-wait says that the change waits, why, and which moved partitions lapse', async (t) => {
  let looks = 0
  const { env } = await gatewayOf(t, ({ method }) => {
    if (method === 'PATCH') {
      const lapsed = [{ partition: 3, instance: 'score-1' }]
      const answer = { name: 'score', version: 2, bundleSha256: 'x', bundleBytes: 1, changed: true, lapsed }
      return { status: 200, json: answer }
    }
    const waiting = { version: 2, state: 'waiting', ...(++looks > 2 && { why: 'no agent has 64 cpus' }) }
    const manifest = { resources: { memMib: 256, cpus: 64 } }
    return { status: 200, json: { instances: [{ version: 1, state: 'running' }, waiting], manifest } }
  })
  const ran = await concord(['fn', 'scale', 'score', '--cpus', '64', '--no-wait'], { env })
  assert.match(ran.stdout, /^score v2 is to have 256 MiB and 64 cpus per instance\.\n/)
  assert.match(ran.stderr, /partitions moved by hand return to their own instances.*: 3 \(was on score-1\)/)
  assert.match(ran.stderr, /It waits: no agent has 64 cpus\n/)
})
