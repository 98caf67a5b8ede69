import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord, gatewayOf } from '../test-cli.ts'

test('stream create says how the stream is now: it may have existed, and may have been changed', async (t) => {
  const { env } = await gatewayOf(t, ({ body }) => {
    const { partitions = 16, raw = false } = JSON.parse(body.toString())
    return {
      status: 200,
      json: { name: 'loud', partitions, raw, producers: [], consumers: [], created: raw },
    }
  })
  const said = async (...options: string[]) =>
    (await concord(['stream', 'create', 'loud', ...options], { env })).stdout
  assert.equal(await said('--raw'), 'Stream loud has 16 partitions, and is also published raw.\n')
  assert.equal(await said('--partitions', '1'), 'Stream loud has 1 partition, and is not published raw.\n')
  const json = JSON.parse(await said('--raw', '--json'))
  assert.deepEqual(json, { name: 'loud', created: true, partitions: 16, raw: true })
  assert.equal(JSON.parse(await said('--json')).created, false)
  assertFails(
    await concord(['stream', 'create', 'loud', '--raw', '--no-raw'], { env }),
    2,
    /--raw and --no-raw are opposites: give one of them/,
  )
})
