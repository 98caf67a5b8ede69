import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem } from '../../client/test-gateway.ts'
import { assertFails, concord, gatewayOf } from '../test-cli.ts'

test('fn tap takes an instance at work, whatever its number', async (t) => {
  const instances = [
    { id: 'shout-3', state: 'waiting' },
    { id: 'shout-4', state: 'running' },
  ]
  const { env, received } = await gatewayOf(t, ({ path }) =>
    path === '/v1/functions/shout'
      ? { status: 200, json: { name: 'shout', instances } }
      : problem(404, 'ERR_INSTANCE_UNKNOWN', 'none of that id'),
  )
  await concord(['fn', 'tap', 'shout'], { env })
  await concord(['fn', 'tap', 'shout', '--instance', '7'], { env })
  await concord(['fn', 'tap', 'shout', '--instance', 'shout-8'], { env })
  assertFails(
    await concord(['fn', 'tap', 'shout', '--instance', 'score-8'], { env }),
    2,
    /'score-8' is no instance of shout: it is an id or its number, as shout-1 or 1/,
  )
  assert.deepEqual(
    received.map(({ path }) => path),
    [
      '/v1/functions/shout',
      '/v1/instances/shout-4/tap',
      '/v1/instances/shout-7/tap',
      '/v1/instances/shout-8/tap',
    ],
  )
})

test('fn replay of a file that is not there says so', async () => {
  assertFails(
    await concord(['fn', 'replay', 'nope.tap.json']),
    4,
    /Cannot read nope\.tap\.json: there is no such file/,
  )
})
