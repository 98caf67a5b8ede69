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

test('stream inspect shows how much of a stream waits for each reader', async (t) => {
  const row = { stream: 'words', processed: 90, dropped: {}, unaccounted: 0, stateLost: 0 }
  const readers = [
    {
      ...{ reader: 'count', backPressure: 'enqueue', instancesRunning: 0, instancesWanted: 2 },
      ...{ ...row, sent: 100, inFlight: 10, lagMs: 5310, spilled: 8, spilledBytes: 2048 },
    },
    {
      reader: 'follower.0123',
      backPressure: 'block',
      ...row,
      sent: 92,
      dropped: { late: 2 },
      inFlight: 0,
      lagMs: 0,
    },
  ]
  let json: object = {
    name: 'words',
    partitions: 16,
    raw: false,
    producers: ['split'],
    consumers: ['count'],
    readers,
  }
  const { env } = await gatewayOf(t, () => ({ status: 200, json }))
  const said = async () => (await concord(['stream', 'inspect', 'words'], { env })).stdout
  assert.equal(
    await said(),
    `Stream words has 16 partitions, and is not published raw. Written by split.
READER         INSTANCES  BACK-PRESSURE  SENT  PROCESSED  DROPPED  IN FLIGHT  LAG    UNACCOUNTED  ON DISK
count          0 of 2     enqueue         100         90  0               10  5.3 s            0  8 (2.0 kB)
follower.0123  -          block            92         90  2 late           0  0                0  0 (0 B)
`,
  )
  json = { ...json, producers: [], readers: [] }
  assert.match(await said(), /No function writes it\.\nNobody reads it that it waits for\.\n$/)
})
