import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { after, before, test } from 'node:test'
import { startTail } from '../../infra/bus/index.ts'
import type { FunctionDetail, Problem } from '../../sdk/api/index.ts'
import { recordsOf } from '../../sdk/wire/frame.ts'
import { partitionOf } from '../../sdk/wire/hash.ts'
import {
  namespace,
  type Platform,
  sourceOf,
  startOwner,
  startPlatform,
  token,
  until,
} from '../testing/platform.ts'

interface Seen {
  readonly partition: number
  readonly key: string
  readonly value: string
  readonly timeMs: number
}

let platform: Platform
before(async () => {
  platform = await startPlatform({ bufferBytesMax: 256 * 1024 })
})
after(() => platform.close())

/** Everything that passes on a stream from now on. */
async function watch(stream: string): Promise<Seen[]> {
  const seen: Seen[] = []
  const wire = platform.wire
  startTail({
    ...{ wire, namespace, stream },
    onFrame(bytes, header) {
      for (const { key, value, timeMs } of recordsOf(bytes, header)) {
        const [keyText, valueText] = [Buffer.from(key).toString(), Buffer.from(value).toString()]
        seen.push({ partition: header.partition, key: keyText, value: valueText, timeMs })
      }
    },
    onGap: () => assert.fail('a gap'),
  })
  await wire.flush()
  return seen
}

async function makeStream(name: string, config: object = {}): Promise<void> {
  const response = await platform.call('PUT', `/v1/streams/${name}`, { body: JSON.stringify(config) })
  assert.equal(response.status, 200, await response.text())
}

async function publish(
  stream: string,
  body: string | Uint8Array<ArrayBuffer>,
  type = 'application/x-ndjson',
) {
  const response = await platform.call('POST', `/v1/streams/${stream}/records`, {
    body,
    headers: { 'content-type': type },
  })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Problem,
  }
}

function prefixed(records: readonly (readonly [string, string])[]): Uint8Array<ArrayBuffer> {
  const parts = records.map(([key, value]) => {
    const head = Buffer.alloc(8)
    head.writeUInt32LE(Buffer.byteLength(key), 0)
    head.writeUInt32LE(Buffer.byteLength(value), 4)
    return Buffer.concat([head, Buffer.from(key), Buffer.from(value)])
  })
  return new Uint8Array(Buffer.concat(parts))
}

test('Publish accepts NDJSON with text and base64, keys and times, each key to its partition', async () => {
  await makeStream('lines')
  const seen = await watch('lines')
  const lines = [
    { key: 'a', value: 'één', timeMs: 5 },
    { keyBase64: Buffer.from('b').toString('base64'), valueBase64: Buffer.from('two').toString('base64') },
    { value: 'three' },
  ]
  const body = `${JSON.stringify(lines[0])}\n\n  ${JSON.stringify(lines[1])}\r\n${JSON.stringify(lines[2])}`
  assert.deepEqual(await publish('lines', body), { status: 200, retryAfter: null, body: { accepted: 3 } })
  await until('all passed', () => seen.length === 3)
  const byValue = Object.fromEntries(seen.map((record) => [record.value, record]))
  assert.deepEqual(byValue['één'], {
    partition: partitionOf(Buffer.from('a'), 16),
    key: 'a',
    value: 'één',
    timeMs: 5,
  })
  assert.deepEqual([byValue['two']!.key, byValue['two']!.partition], ['b', partitionOf(Buffer.from('b'), 16)])
  assert.ok(Math.abs(byValue['two']!.timeMs - Date.now()) < 60_000)
})

test('Publish accepts length-prefixed bytes however they are cut', async () => {
  await makeStream('bytes')
  const seen = await watch('bytes')
  const records = Array.from({ length: 500 }, (_, i) => [`key${i % 7}`, `value ${i}`] as const)
  const body = prefixed(records)
  const outgoing = request(`${platform.gateway.url}/v1/streams/bytes/records`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/vnd.concord.records' },
  })
  for (let at = 0; at < body.length; at += 37) outgoing.write(body.subarray(at, at + 37))
  outgoing.end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  assert.equal(response.statusCode, 200)
  response.resume()
  await until('all passed', () => seen.length === 500)
  for (let k = 0; k < 7; k++) {
    const values = seen.filter(({ key }) => key === `key${k}`).map(({ value }) => value)
    assert.deepEqual(
      values,
      records.filter(([key]) => key === `key${k}`).map(([, value]) => value),
    )
  }
})

test('Publish sends a record to the partition that it names, and refuses an unknown one', async () => {
  await makeStream('named', { partitions: 4 })
  const seen = await watch('named')
  const line = (partition: number) => JSON.stringify({ key: 'same', value: String(partition), partition })
  const all = [3, 0, 2, 1].map(line).join('\n')
  assert.deepEqual((await publish('named', all)).body, { accepted: 4 })
  await until('all passed', () => seen.length === 4)
  for (const { partition, value } of seen) assert.equal(partition, Number(value))
  const { status, body } = await publish('named', `${line(1)}\n${line(4)}\n`)
  assert.deepEqual([status, body.code, body.accepted], [400, 'ERR_RECORD_INVALID', 1])
  assert.match(body.detail!, /partition 4 of 'named': it has 0 to 3\./)
})

test('Publish spreads records without a key only over streams whose reader asks for it', async () => {
  await makeStream('spread', { partitions: 4 })
  const shuffled = sourceOf('shuffler', ['spread'], []).replaceAll('groupBy', 'shuffle')
  assert.equal((await platform.call('POST', '/v1/functions', { body: shuffled })).status, 200)
  startOwner(platform.wire, 'shuffler', 'spread', 4)
  const seen = await watch('spread')
  for (let i = 0; i < 8; i++) await publish('spread', `{"value":"${i}"}`)
  await until('all passed', () => seen.length === 8)
  assert.deepEqual(seen.map(({ partition }) => partition).sort(), [0, 0, 1, 1, 2, 2, 3, 3])

  assert.equal(
    (await platform.call('POST', '/v1/functions', { body: sourceOf('reader', ['keyed'], []) })).status,
    200,
  )
  const keyed = await watch('keyed')
  const owner = startOwner(platform.wire, 'reader', 'keyed')
  for (let i = 0; i < 4; i++) await publish('keyed', `{"value":"${i}"}`)
  await until('all passed', () => keyed.length === 4)
  assert.deepEqual(
    new Set(keyed.map(({ partition }) => partition)),
    new Set([partitionOf(Buffer.alloc(0), 16)]),
  )
  await until('they are processed', () => owner.processed() === 4)
})

test('Publish to an unknown stream says how to create it, and which was probably meant', async () => {
  const { status, body } = await publish('nowhere', '{"value":"a"}')
  assert.deepEqual([status, body.code], [404, 'ERR_STREAM_UNKNOWN'])
  assert.match(body.detail, /concord stream create nowhere/)
  const near = await publish('keyd', '{"value":"a"}')
  assert.match(near.body.detail, /There is no stream 'keyd'\. Did you mean 'keyed'\? Create it by/)
})

const malformed: Readonly<Record<string, [message: RegExp, line: string]>> = {
  'no JSON': [/line 3.*not JSON/, 'nonsense'],
  'no object': [/line 3/, '[1]'],
  'no value': [/line 3.*exactly one of `value`/, '{"key":"a"}'],
  'two values': [/line 3.*exactly one of `value`/, '{"value":"a","valueBase64":"YQ=="}'],
  'two keys': [/line 3.*at most one of `key`/, '{"value":"a","key":"a","keyBase64":"YQ=="}'],
  'an unknown field': [/line 3.*valeu/, '{"valeu":"a","value":"b"}'],
  'bad base64': [/line 3.*base64/, '{"valueBase64":"***"}'],
}

for (const [what, [message, line]] of Object.entries(malformed)) {
  test(`Publish stops at a line with ${what}, and says how many came before`, async () => {
    await makeStream('lines')
    const seen = await watch('lines')
    const { status, body } = await publish('lines', `{"value":"1"}\n{"value":"2"}\n${line}\n{"value":"4"}\n`)
    assert.deepEqual([status, body.code, body.accepted], [400, 'ERR_RECORD_INVALID', 2])
    assert.match(body.detail, message)
    await until('those passed', () => seen.length === 2)
  })
}

test('Publish refuses a record too large for a frame, and a body that ends within a record', async () => {
  await makeStream('lines')
  const large = await publish(
    'lines',
    `{"value":"1"}\n${JSON.stringify({ value: 'x'.repeat(1024 * 1024) })}\n`,
  )
  assert.deepEqual([large.status, large.body.accepted], [413, 1])
  const key = await publish('lines', JSON.stringify({ key: 'k'.repeat(65_536), value: 'v' }))
  assert.deepEqual([key.status, key.body.accepted], [413, 0])
  assert.match(key.body.detail, /line 1: its key has 65536 bytes, and a key has at most 65535\./)
  const endless = await publish('lines', `{"value":"1"}\n{"value":"${'x'.repeat(3 * 1024 * 1024)}`)
  assert.deepEqual([endless.status, endless.body.accepted], [400, 1])
  const type = 'application/vnd.concord.records'
  const cut = await publish(
    'lines',
    prefixed([
      ['a', 'b'],
      ['c', 'd'],
    ]).slice(0, -1),
    type,
  )
  assert.deepEqual([cut.status, cut.body.accepted], [400, 1])
  assert.match(cut.body.detail, /record 2/)
  const lie = prefixed([['a', 'b']])
  new DataView(lie.buffer).setUint32(4, 0xffffffff, true)
  assert.deepEqual([(await publish('lines', lie, type)).status], [413])
})

test('Publish into a full stream answers 429 with the accepted count, and works again when there is room', async () => {
  assert.equal(
    (await platform.call('POST', '/v1/functions', { body: sourceOf('slow', ['full'], []) })).status,
    200,
  )
  const value = 'x'.repeat(1000)
  const lines = Array.from({ length: 2000 }, (_, i) => JSON.stringify({ key: `k${i}`, value })).join('\n')
  const refused = await publish('full', lines)
  assert.deepEqual([refused.status, refused.retryAfter, refused.body.code], [429, '1', 'ERR_STREAM_FULL'])
  const accepted = refused.body.accepted!
  assert.ok(accepted > 100 && accepted < 1000, `${accepted} accepted`)

  const detail = async () =>
    (await (await platform.call('GET', '/v1/functions/slow')).json()) as FunctionDetail
  const [row] = (await detail()).ledger
  assert.deepEqual([row!.processed, row!.unaccounted, row!.inFlight], [0, 0, row!.sent])

  // The owner comes and drains it: what was accepted is what comes, no more and no less.
  const { processed } = startOwner(platform.wire, 'slow', 'full')
  await until('all is processed', () => processed() >= accepted)
  assert.equal(processed(), accepted)
  assert.equal((await publish('full', '{"value":"more"}')).status, 200)
  await until('it is processed, too', () => processed() === accepted + 1)
  const ledger = await until('the ledger is even', async () => {
    const [found] = (await detail()).ledger
    return found!.processed === accepted + 1 && found
  })
  assert.deepEqual(ledger, {
    stream: 'full',
    sent: accepted + 1,
    processed: accepted + 1,
    dropped: {},
    inFlight: 0,
    lagMs: 0,
    unaccounted: 0,
    stateLost: 0,
  })
})

test('Publish keeps the accepted records of a client that hangs up, and logs no error', async () => {
  await makeStream('lines')
  const seen = await watch('lines')
  const outgoing = request(`${platform.gateway.url}/v1/streams/lines/records`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })
  outgoing.on('error', () => undefined)
  outgoing.write('{"value":"1"}\n{"value":"2"}\n{"val')
  await until('two are taken', () => seen.length === 2)
  outgoing.destroy()
  const metrics = async () => await (await platform.call('GET', '/metrics')).text()
  await until('the request is over', async () =>
    /route="\/v1\/streams\/:name\/records",status="500"/.test(await metrics()),
  )
  assert.deepEqual(
    platform.logged.filter((line) => line.includes('a request failed')),
    [],
  )
  assert.equal((await publish('lines', '{"value":"3"}')).status, 200)
})

test('PUT of a stream creates it, changes raw, keeps its partitions, and leaves what it does not name', async () => {
  const found = async () => {
    const { streams } = (await (await platform.call('GET', '/v1/streams')).json()) as {
      streams: { name: string }[]
    }
    return streams.find(({ name }) => name === 'fixed')
  }
  const created = await platform.call('PUT', '/v1/streams/fixed', { body: '{"partitions":4}' })
  assert.equal(((await created.json()) as { created: boolean }).created, true)
  const existed = await platform.call('PUT', '/v1/streams/fixed')
  assert.equal(((await existed.json()) as { created: boolean }).created, false)
  for (const [config, raw] of [
    [{ raw: true }, true],
    [{}, true],
    [{ partitions: 4 }, true],
    [{ raw: false }, false],
  ] as const) {
    await makeStream('fixed', config)
    const expected = { name: 'fixed', partitions: 4, raw, producers: [], consumers: [] }
    assert.deepEqual(await found(), expected, JSON.stringify(config))
  }
  const refusedStatus = async (body: string) =>
    (await platform.call('PUT', '/v1/streams/fixed', { body })).status
  assert.equal(await refusedStatus('{"partitions":5}'), 409)
  assert.equal(await refusedStatus('{"partitions":0}'), 400)
  assert.equal(await refusedStatus('{"partitions":'), 400)
  assert.equal(await refusedStatus(`{"a":"${'x'.repeat(20_000)}"}`), 413)
})

test('DELETE removes a stream, and refuses one in use, naming its users', async () => {
  const remove = async (name: string) => await platform.call('DELETE', `/v1/streams/${name}`)
  const unknown = await remove('never-made')
  assert.equal(unknown.status, 404)
  const { detail } = (await unknown.json()) as { detail: string }
  assert.equal(detail, "There is no stream 'never-made'. `concord stream ls` shows those there are.")
  await makeStream('passing', { partitions: 4 })
  assert.equal((await publish('passing', '{"value":"1"}')).status, 200)
  assert.equal((await remove('passing')).status, 204)
  assert.equal((await publish('passing', '{"value":"2"}')).status, 404)
  // Made anew, it may have other partitions, and more than before.
  await makeStream('passing', { partitions: 9 })
  const seen = await watch('passing')
  const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`)
  const body = keys.map((key) => JSON.stringify({ key, value: key })).join('\n')
  // A 429 until what was sent to the partitions before is confirmed.
  await until('it is taken', async () => (await publish('passing', body)).status === 200)
  await until('all have passed', async () => seen.length === keys.length)

  for (const body of [sourceOf('in-user', ['passing'], []), sourceOf('out-user', [], ['passing'])])
    assert.equal((await platform.call('POST', '/v1/functions', { body })).status, 200)
  const refused = await remove('passing')
  assert.equal(refused.status, 409)
  const problem = (await refused.json()) as Problem
  assert.equal(problem.code, 'ERR_STREAM_USED')
  assert.equal(
    problem.detail,
    "Cannot remove stream 'passing': 'out-user' writes it, 'in-user' reads it. First `concord fn rm out-user`, `concord fn rm in-user`.",
  )
  assert.equal((await publish('passing', '{"value":"3"}')).status, 200)
})

test('Publish interrupted by the end of the gateway says how many records were accepted', async () => {
  await makeStream('lines')
  const seen = await watch('lines')
  const gateway = await platform.another()
  const outgoing = request(`${gateway.url}/v1/streams/lines/records`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
  let answer: IncomingMessage | undefined
  void answered.then(([response]) => {
    answer = response
  })
  outgoing.write('{"value":"1"}\n{"value":"2"}\n')
  await until('the first are taken', () => seen.length === 2)
  const closed = gateway.close()
  await until('it answers', () => {
    if (answer === undefined) outgoing.write('{"value":"late"}\n')
    return answer !== undefined
  })
  const chunks: Buffer[] = []
  for await (const chunk of answer!) chunks.push(chunk as Buffer)
  const problem = JSON.parse(Buffer.concat(chunks).toString()) as Problem
  assert.deepEqual([answer!.statusCode, problem.code, problem.accepted], [503, 'ERR_CLOSING', 2])
  outgoing.on('error', () => undefined).destroy()
  await closed
})
