import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord, gatewayOf, lastJson } from '../test-cli.ts'

test('kill -id stops an instance', async (t) => {
  const { env, received } = await gatewayOf(t, () => ({ status: 202, json: {} }))
  assert.deepEqual(lastJson(await concord(['kill', '-id', 'score-0', '--restart', '--json'], { env })), {
    id: 'score-0',
    restart: true,
  })
  const { stdout } = await concord(['kill', '-id', 'score-1'], { env })
  assert.equal(stdout, 'score-1 is being stopped.\n')
  assert.deepEqual(
    received.map(({ method, path }) => `${method} ${path}`),
    [
      ...['DELETE /v1/instances/score-0?restart=true', 'GET /v1/functions/score'],
      ...['DELETE /v1/instances/score-1?restart=false', 'GET /v1/functions/score'],
    ],
  )
})

test('kill and fn scale say that no scheduler leads, instead of what they wait for', async (t) => {
  const noScheduler = 'no scheduler has led for 9 s: nothing is placed'
  const json = { version: 1, instancesRunning: 0, instances: [], noScheduler }
  const { env } = await gatewayOf(t, ({ method }) => ({
    ...{ status: 200, json: method === 'PUT' ? { instances: 2, pinned: false } : json },
  }))
  const { stdout } = await concord(['kill', '-id', 'score-0', '--restart'], { env })
  assert.equal(stdout, `score-0 is to be replaced, but ${noScheduler}.\n`)
  assertFails(
    await concord(['fn', 'scale', 'score', '2', '--timeout', '0.1'], { env }),
    7,
    /2 are wanted: no scheduler has led for 9 s/,
  )
})
