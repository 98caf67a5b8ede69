import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord, gatewayOf, lastJson } from './test-cli.ts'

test('fn scale says how many instances are wanted, and waits until they run', async (t) => {
  let looks = 0
  const { env, received } = await gatewayOf(t, ({ method }) => {
    if (method === 'PUT') return { status: 200, json: { instances: 3 } }
    looks += 1
    const instances = Array.from({ length: looks < 3 ? 1 : 3 }, () => ({ why: 'the best misses 1 cpus' }))
    return { status: 200, json: { instances, instancesRunning: instances.length } }
  })
  const { stdout } = await concord(['fn', 'scale', 'score', '3'], { env })
  assert.equal(stdout, 'score has 3 instances.\n')
  assert.equal(looks, 3)
  assert.deepEqual(lastJson(await concord(['fn', 'scale', 'score', '1', '--no-wait', '--json'], { env })), {
    name: 'score',
    instances: 1,
  })
  assert.equal(`${received[0]!.method} ${received[0]!.path}`, 'PUT /v1/functions/score/instances')
  assertFails(
    await concord(['fn', 'scale', 'score', '4', '--timeout', '0.2'], { env }),
    7,
    /score has 3 instances after 0.2 s, 4 are wanted: the best misses 1 cpus; 'concord fn inspect score'/,
  )
  assertFails(await concord(['fn', 'scale', 'score', 'many'], { env }), 2, /many/)
})
