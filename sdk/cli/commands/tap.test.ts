import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem } from '../../client/test-gateway.ts'
import { assertFails, concord, gatewayOf } from '../test-cli.ts'

test('fn tap chooses a working instance, whatever its index', async (t) => {
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

test('fn tap says why a tap holds no records', async (t) => {
  const file = { schema: 1, function: 'shout', version: 1, instance: 'shout-0', takenAtMs: 0, chapters: [] }
  let missed = {}
  const { env } = await gatewayOf(t, () => ({ status: 200, json: { ...file, ...missed } }))
  const said = async () => (await concord(['fn', 'tap', 'shout', '--instance', '0'], { env })).stdout
  assert.match(await said(), /^The tap of shout-0 holds no records: it was given none since it began/)
  missed = { missed: 3 }
  assert.match(
    await said(),
    /holds no records: each of its 3 batches since it began was larger than half of it/,
  )
})

test('fn tap without an instance looks at all that run, and says so if none holds records', async (t) => {
  const { env, received } = await gatewayOf(t, ({ path }) => {
    const instances = [0, 1, 2].map((index) => ({ id: `shout-${index}`, state: 'running' }))
    if (path === '/v1/functions/shout') return { status: 200, json: { name: 'shout', instances } }
    const instance = path.split('/')[3]
    return { status: 200, json: { schema: 1, function: 'shout', version: 1, instance, chapters: [] } }
  })
  const { stdout } = await concord(['fn', 'tap', 'shout'], { env })
  assert.match(
    stdout,
    /^The tap of shout-0 holds no records: .* Nor do those of the other instances that run \(2\)\.$/m,
  )
  assert.equal(received.filter(({ path }) => path.endsWith('/tap')).length, 3)
})

test('fn replay reports a missing file', async () => {
  assertFails(
    await concord(['fn', 'replay', 'nope.tap.json']),
    4,
    /Cannot read nope\.tap\.json: there is no such file/,
  )
})
