/** What a master answers before a call reaches it, against what a real one was recorded to say. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { request } from 'undici'
import { defer, TestFramework, task } from '../test-framework.ts'
import { post, send, start } from './test-master.ts'

interface Refusal {
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly bodyBase64?: string
  readonly chunked?: true
  readonly answer: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
}

test('server refuses what a real master refuses, with the same status, headers and text', async (t) => {
  const { url } = await start(t)
  const refusals = readJson<readonly Refusal[]>('refusals.json')
  assert.equal(refusals.length, 35)
  for (const refusal of refusals) {
    const body = refusal.bodyBase64 === undefined ? refusal.body : Buffer.from(refusal.bodyBase64, 'base64')
    const answer = await send(url + refusal.path, refusal.method, refusal.headers, body, refusal.chunked)
    assert.deepEqual(
      { status: answer.status, body: answer.body },
      { status: refusal.answer.status, body: refusal.answer.body },
      refusal.name,
    )
    for (const [name, value] of Object.entries(refusal.answer.headers)) {
      assert.equal(answer.headers[name.toLowerCase()], value, `${refusal.name}: ${name}`)
    }
  }
})

interface Subscription {
  readonly name: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  readonly types: readonly string[]
  readonly error: string | null
}

test('SUBSCRIBE accepts and refuses the same FrameworkInfos as a real master', async (t) => {
  const { url } = await start(t)
  const subscriptions = readJson<readonly Subscription[]>('subscriptions.json')
  assert.equal(subscriptions.length, 26)
  for (const { name, headers, body, types, error } of subscriptions) {
    const stream = await openStream(url, headers, body)
    const wanted = types.filter((type) => type !== 'HEARTBEAT')
    const events = await stream.take(error === null ? types.length : 1)
    assert.equal(stream.status, 200, name)
    assert.match(String(stream.headers['mesos-stream-id']), /^[0-9a-f-]{36}$/, name)
    assert.deepEqual(
      events.map((e) => e.type).filter((type) => type !== 'HEARTBEAT'),
      wanted,
      name,
    )
    assert.equal(events[0]?.error?.message ?? null, error, name)
    const id = events[0]?.subscribed?.framework_id
    if (id !== undefined)
      await post(
        url,
        { 'mesos-stream-id': String(stream.headers['mesos-stream-id']) },
        { type: 'TEARDOWN', framework_id: id },
      )
    assert.deepEqual(await stream.rest(), [], `${name}: the zero chunk ends the stream`)
  }
})

test('the stream has one record per chunk: SUBSCRIBED, a heartbeat at once, then one every 15 s', async (t) => {
  const { url, clock } = await start(t)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  defer(t, () => socket.destroy())
  const body = JSON.stringify({
    type: 'SUBSCRIBE',
    subscribe: { framework_info: { user: 'root', name: 'raw' } },
  })
  socket.write(
    `POST /api/v1/scheduler HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
  })
  const chunks = async (count: number): Promise<RegExpMatchArray[]> => {
    for (;;) {
      const all = [...text.matchAll(/([0-9a-f]+)\r\n(\d+)\n(\{.*\})\r\n/g)]
      if (all.length >= count) return all
      await new Promise((done) => socket.once('data', done))
    }
  }
  const first = await chunks(3)
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(text, /Transfer-Encoding: chunked/i)
  for (const [, chunkLength, recordLength, json] of first) {
    assert.equal(Number(recordLength), json!.length)
    assert.equal(Number.parseInt(chunkLength!, 16), json!.length + recordLength!.length + 1)
  }
  const events = first.map((chunk) => JSON.parse(chunk[3]!) as Record<string, never>)
  assert.deepEqual(
    events.map((e) => e['type']),
    ['SUBSCRIBED', 'HEARTBEAT', 'OFFERS'],
  )
  assert.equal(events[0]!['subscribed']!['heartbeat_interval_seconds'], 15)
  assert.deepEqual(Object.keys(events[0]!['subscribed']!['master_info']), [
    'id',
    'ip',
    'port',
    'pid',
    'hostname',
    'version',
    'address',
    'capabilities',
  ])
  clock.advance(14_999)
  clock.advance(1)
  assert.equal((await chunks(4))[3]![3], '{"type":"HEARTBEAT"}')
  clock.advance(15_000)
  assert.equal((await chunks(5)).length, 5)
})

test('server accepts only clients with the credentials, whose principal in FrameworkInfo matches if given', async (t) => {
  const { url } = await start(t, { credentials: { principal: 'fw', secret: 's3cret' } })
  const authorization = `Basic ${Buffer.from('fw:s3cret').toString('base64')}`
  const subscribe = (principal?: string) => ({
    type: 'SUBSCRIBE',
    subscribe: {
      framework_info: { user: 'root', name: 'auth', ...(principal === undefined ? {} : { principal }) },
    },
  })
  for (const headers of [{}, { authorization: 'Basic Znc6YmFk' }, { authorization: 'Bearer x' }]) {
    for (const path of ['/api/v1/scheduler', '/state']) {
      const answer = await send(
        url + path,
        'POST',
        { 'content-type': 'application/json', ...headers },
        JSON.stringify(subscribe()),
      )
      const realm = path === '/state' ? 'mesos-master-readonly' : 'mesos-master-scheduler'
      assert.deepEqual([answer.status, answer.body], [401, '401 Unauthorized.'])
      assert.equal(answer.headers['www-authenticate'], `Basic realm="${realm}"`)
    }
  }
  const other = await post(url, { authorization }, subscribe('other'))
  const text =
    "Failed to validate scheduler::Call: Authenticated principal 'fw' does not match principal 'other' set in `FrameworkInfo`"
  assert.deepEqual([other.status, other.body], [400, text])
  const framework = await TestFramework.subscribe(t, {
    url,
    headers: { authorization },
    info: { principal: 'fw' },
  })
  await framework.offer()
  assert.equal((await framework.call('REVIVE')).status, 202)
  assert.equal((await request(`${url}/health`)).statusCode, 200)
})

test('server answers /version, and /state without secrets', async (t) => {
  const { url, subscribe } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  const command = {
    shell: true,
    value: 'sleep 60',
    environment: { variables: [{ name: 'KEY', value: 'secret-value' }] },
  }
  await framework.launch(offer, [task('s', offer, '', { command })])
  await framework.updatesUntil('s', 'TASK_RUNNING')
  const state = await (await request(`${url}/state`)).body.text()
  assert.match(state, /"id":"s","state":"TASK_RUNNING"/)
  assert.doesNotMatch(state, /secret-value|sleep 60/)
  assert.deepEqual(await (await request(`${url}/master/version`)).body.json(), { version: '1.12.0' })
  assert.equal((await request(`${url}/nothing`)).statusCode, 404)
})

function readJson<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../testdata', name), 'utf8')) as T
}

interface StreamEvent {
  readonly type: string
  readonly error?: { readonly message: string }
  readonly subscribed?: { readonly framework_id: unknown }
}

async function openStream(url: string, headers: Readonly<Record<string, string>>, body: unknown) {
  const response = await request(`${url}/api/v1/scheduler`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  })
  const chunks = response.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let text = ''
  const take = async (count: number): Promise<StreamEvent[]> => {
    for (;;) {
      const events = [...text.matchAll(/\d+\n(\{.*?\})(?=\d+\n|$)/g)].map(
        (m) => JSON.parse(m[1]!) as StreamEvent,
      )
      if (events.length >= count) {
        text = ''
        return events
      }
      const { value, done } = await chunks.next()
      if (done) return events
      text += value.toString()
    }
  }
  return {
    status: response.statusCode,
    headers: response.headers,
    take,
    rest: () => take(Number.POSITIVE_INFINITY),
  }
}
