import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CodedError } from 'concord'
import { type ClientRecord, ProduceError } from 'concord/client'
import { feed } from './feed.ts'

/** Takes everything, and keeps what came in each request. */
function acceptAll() {
  const requests: ClientRecord[][] = []
  const produce = async (_stream: string, records: readonly ClientRecord[]) => {
    requests.push([...records])
    return { accepted: records.length, unknown: 0 }
  }
  return { requests, client: { produce } }
}

test('feed sends all lines in order, in requests of at most 500, each keyed by its first word', async () => {
  const lines = Array.from({ length: 1_203 }, (_, index) => `10.0.0.${index % 7} - line ${index}`)
  const { requests, client } = acceptAll()
  let accepted = 0
  await feed(
    client,
    { name: 'test', lines },
    { rate: undefined, signal: new AbortController().signal, onAccepted: (count) => (accepted += count) },
  )
  assert.deepEqual(
    requests.map((records) => records.length),
    [500, 500, 203],
  )
  assert.deepEqual(
    requests.flat().map((record) => record.value),
    lines,
  )
  assert.deepEqual(
    requests.flat().map((record) => record.key),
    lines.map((line) => line.split(' ')[0]),
  )
  assert.equal(accepted, 1_203)
})

test('feed bounds the key of a line that is no log line', async () => {
  const { requests, client } = acceptAll()
  await feed(
    client,
    { name: 'test', lines: ['x'.repeat(5_000), ''] },
    { rate: undefined, signal: new AbortController().signal, onAccepted: () => {} },
  )
  assert.deepEqual(
    requests.flat().map((record) => record.key?.length),
    [200, 0],
  )
})

test('feed keeps to the rate', async () => {
  const { client } = acceptAll()
  const startedAtMs = performance.now()
  await feed(
    client,
    { name: 'test', lines: Array(50).fill('a b') },
    { rate: 200, signal: new AbortController().signal, onAccepted: () => {} },
  )
  assert.ok(performance.now() - startedAtMs >= 190, 'the last of 5 batches is due after 200 ms')
})

test('feed counts what was taken of a request that was refused, and ends', async () => {
  const refused = new ProduceError(
    { accepted: 123, unknown: 0 },
    new CodedError('ERR_RECORD_TOO_LARGE', 'too large'),
  )
  let accepted = 0
  const options = {
    rate: undefined,
    signal: new AbortController().signal,
    onAccepted: (count: number) => {
      accepted += count
    },
  }
  await assert.rejects(
    feed({ produce: () => Promise.reject(refused) }, { name: 'test', lines: ['a', 'b'] }, options),
    (error) => error === refused,
  )
  assert.equal(accepted, 123)
})
