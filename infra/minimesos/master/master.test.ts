/** The master's answers, over real HTTP, against what a real master was recorded to say. Time moves by hand. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { request } from 'undici'
import { ManualClock } from '../../clock.ts'
import { endTasks, type MinimesosOptions, startMinimesos } from '../index.ts'
import { amount, defer, type OfferSeen, scalars, TestFramework, task, tempDir } from '../test-framework.ts'

async function start(t: TestContext, options: Partial<MinimesosOptions> = {}) {
  const clock = new ManualClock(1_700_000_000_000)
  const stateDir = tempDir(t)
  const sizes = { cpus: 4, memMib: 4096, diskMib: 8192 }
  const minimesos = await startMinimesos({ port: 0, stateDir, clock, ...sizes, ...options })
  defer(t, () => minimesos.close())
  const subscribe = (more: Partial<Parameters<typeof TestFramework.subscribe>[1]> = {}) =>
    TestFramework.subscribe(t, { url: minimesos.url, ...more })
  return { url: minimesos.url, clock, stateDir, subscribe }
}

/** True if no event of this type came before the master's answer to a question asked now. */
async function without(framework: TestFramework, type: 'OFFERS' | 'UPDATE'): Promise<boolean> {
  const id = `barrier-${framework.events.length}`
  await framework.call('RECONCILE', { reconcile: { tasks: [{ task_id: { value: id } }] } })
  const from = framework.seen
  await framework.update(id)
  return framework.events.slice(from, framework.seen - 1).every((event) => event.type !== type)
}

const decline = (framework: TestFramework, offer: OfferSeen, refuseSeconds?: number) =>
  framework.call('DECLINE', {
    decline: {
      offer_ids: [offer.id],
      ...(refuseSeconds === undefined ? {} : { filters: { refuse_seconds: refuseSeconds } }),
    },
  })

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

test('server refuses what a master refuses, with its status, headers and words', async (t) => {
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

test('subscribe accepts and refuses the FrameworkInfos that a master does', async (t) => {
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

test('stream carries one record a chunk, SUBSCRIBED, a heartbeat at once and then one every 15 s', async (t) => {
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

test('server lets in only who knows the credentials, and names them in FrameworkInfo if at all', async (t) => {
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

test('server answers /version and /state, the latter without what may be secret', async (t) => {
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

test('offers hold all of the agent, with attributes and the role that they are for', async (t) => {
  const { subscribe } = await start(t, { attributes: 'rack:r1;zone:z-a', hostname: 'here' })
  const framework = await subscribe()
  const offer = await framework.offer()
  assert.deepEqual(
    { ...offer, id: 0, framework_id: 0, agent_id: 0, url: 0 },
    {
      id: 0,
      framework_id: 0,
      agent_id: 0,
      hostname: 'here',
      url: 0,
      resources: [
        {
          name: 'ports',
          type: 'RANGES',
          ranges: { range: [{ begin: 31_000, end: 32_000 }] },
          allocation_info: { role: 'web' },
        },
        { name: 'cpus', type: 'SCALAR', scalar: { value: 4 }, allocation_info: { role: 'web' } },
        { name: 'mem', type: 'SCALAR', scalar: { value: 4096 }, allocation_info: { role: 'web' } },
        { name: 'disk', type: 'SCALAR', scalar: { value: 8192 }, allocation_info: { role: 'web' } },
      ],
      attributes: [
        { name: 'rack', type: 'TEXT', text: { value: 'r1' } },
        { name: 'zone', type: 'TEXT', text: { value: 'z-a' } },
      ],
      allocation_info: { role: 'web' },
    },
  )
  await framework.call('TEARDOWN')
  const plain = await subscribe({ info: { roles: [], capabilities: [] } })
  const { resources } = await plain.offer()
  assert.ok(resources.every((r) => r.role === '*' && r.allocation_info.role === '*'))
})

test('DECLINE filters for its refuse_seconds: 5 by default and for a negative, at least half a second', async (t) => {
  const { subscribe, clock } = await start(t)
  const framework = await subscribe()
  for (const [refuseSeconds, durationMs] of [
    [2, 2_000],
    [undefined, 5_000],
    [-5, 5_000],
    [0, 500],
  ] as const) {
    await decline(framework, await framework.offer(), refuseSeconds)
    clock.advance(durationMs - 1)
    assert.ok(await without(framework, 'OFFERS'), `none before ${durationMs} ms`)
    clock.advance(1)
  }
  await decline(framework, await framework.offer(), 1e12)
  clock.advance(3_600_000)
  assert.ok(await without(framework, 'OFFERS'))
})

test('REVIVE clears filters at once, SUPPRESS stops offers but takes none back', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  await decline(framework, await framework.offer(), 3600)
  const revivedMs = performance.now()
  await framework.call('REVIVE')
  const offer = await framework.offer()
  const tookMs = framework.events.at(-1)!.atMs - revivedMs
  assert.ok(tookMs < 500, `offer ${tookMs} ms after REVIVE`)
  await framework.call('SUPPRESS', { suppress: {} })
  assert.ok(await without(framework, 'OFFERS'))
  await decline(framework, offer, 0)
  await framework.call('REVIVE', { revive: { roles: ['other'] } })
  assert.ok(await without(framework, 'OFFERS'), 'another role is another role')
  await framework.call('REVIVE', { revive: { roles: ['web'] } })
  await framework.offer()
})

test('ACCEPT filters what it leaves, and an offer of more than that passes the filter', async (t) => {
  const { subscribe, stateDir } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  await framework.launch(offer, [task('f1', offer, 'while [ ! -e end ]; do sleep 0.02; done')], {
    filters: { refuse_seconds: 3600 },
  })
  await framework.updatesUntil('f1', 'TASK_RUNNING')
  assert.ok(await without(framework, 'OFFERS'))
  await endTasks(stateDir, 5_000)
  await framework.update('f1', 'TASK_KILLED')
  assert.equal(
    amount(framework.events.findLast((e) => e.offers !== undefined)!.offers!.offers[0]!, 'cpus'),
    4,
  )
})

test('ACCEPT with nothing refused offers the rest at once', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  await framework.launch(offer, [task('a', offer, 'sleep 60')])
  const rest = await framework.offer()
  assert.deepEqual([amount(rest, 'cpus'), amount(rest, 'mem')], [3.9, 4064])
})

test("ACCEPT that goes wrong says so for each task, in a master's words", async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  const available =
    'ports(allocated: web):[31000-32000]; cpus(allocated: web):4; mem(allocated: web):4096; disk(allocated: web):8192'
  const rows: readonly (readonly [
    Record<string, unknown>,
    (offer: OfferSeen) => Record<string, unknown>,
    RegExp | string,
  ])[] = [
    [
      { task_id: { value: 'x4' }, resources: scalars({ cpus: 400, mem: 32 }) },
      () => ({}),
      `Total resources cpus(allocated: web):400; mem(allocated: web):32 required by task and its executor is more than available ${available}`,
    ],
    [
      { agent_id: { value: 'nope-S1' } },
      () => ({}),
      /^Task uses invalid agent nope-S1 while agent \S+-S0 is expected$/,
    ],
    [{ task_id: { value: 'x/7' } }, () => ({}), "'x/7' contains invalid characters"],
    [{ task_id: { value: '..' } }, () => ({}), "'..' is disallowed"],
    [
      { command: null },
      () => ({}),
      'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present',
    ],
    [{ resources: [] }, () => ({}), 'Task uses no resources'],
    [{ health_check: { type: 'TCP' } }, () => ({}), "minimesos does not support 'TaskInfo.health_check'"],
    [
      {},
      () => ({ offer_ids: [{ value: 'nope-O7' }] }),
      'Task launched with invalid offers: Offer nope-O7 is no longer valid',
    ],
    [{}, () => ({ offer_ids: [] }), 'Task launched with invalid offers: No offers specified'],
    [
      {},
      ({ id }) => ({ offer_ids: [id, id] }),
      /^Task launched with invalid offers: Duplicate offer \S+ in offer list$/,
    ],
  ]
  let offer = await framework.offer()
  for (const [i, [taskParts, acceptParts, text]] of rows.entries()) {
    const info = task(`row-${i}`, offer, 'true', taskParts)
    const parts = acceptParts(offer)
    assert.equal((await framework.launch(offer, [info], parts)).status, 202)
    const status = await framework.update(info.task_id.value)
    const [state, reason] =
      'offer_ids' in parts ? ['TASK_DROPPED', 'REASON_INVALID_OFFERS'] : ['TASK_ERROR', 'REASON_TASK_INVALID']
    const row = { state: status.state, reason: status.reason, source: status.source, uuid: status.uuid }
    assert.deepEqual(
      row,
      { state, reason, source: 'SOURCE_MASTER', uuid: undefined },
      `row ${i}: ${status.message}`,
    )
    if (typeof text === 'string') assert.equal(status.message, text)
    else assert.match(status.message!, text)
    assert.deepEqual(status.agent_id, info.agent_id)
    await decline(framework, offer, 0)
    await framework.call('REVIVE')
    offer = await framework.offer()
  }
  await framework.launch(offer, [task('twice', offer, 'sleep 60'), task('twice', offer, 'sleep 60')])
  assert.equal((await framework.update('twice', 'TASK_ERROR')).message, 'Task has duplicate ID: twice')
})

test('ACCEPT that lacks a required field is refused whole, and its offer stays', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  const { agent_id: _, ...incomplete } = task('x', offer, 'true')
  assert.deepEqual(await framework.launch(offer, [incomplete]), {
    status: 400,
    text: 'Failed to convert JSON into Call protobuf: Missing required fields: accept.operations[0].launch.task_infos[0].agent_id',
  })
  await framework.launch(offer, [task('x', offer, 'true')])
  await framework.update('x', 'TASK_STARTING')
})

test('operations that minimesos lacks are refused as events', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  const operations = [
    { type: 'RESERVE', id: { value: 'op-1' } },
    { type: 'LAUNCH_GROUP', launch_group: { task_group: { tasks: [task('g', offer, 'true')] } } },
  ]
  await framework.launch(offer, [], { operations })
  const operation = await framework.next('operation status', (e) => e.type === 'UPDATE_OPERATION_STATUS')
  assert.deepEqual(operation.update_operation_status!.status, {
    operation_id: { value: 'op-1' },
    state: 'OPERATION_ERROR',
    message: 'minimesos does not support the operation RESERVE',
  })
  const status = await framework.update('g')
  assert.deepEqual([status.state, status.reason], ['TASK_ERROR', 'REASON_TASK_GROUP_INVALID'])
})

test('updates come again with the same uuid after 10 and 30 s, and the next state waits', async (t) => {
  const { subscribe, clock } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  await framework.launch(offer, [task('noack', offer, 'true')])
  const first = await framework.update('noack', undefined, false)
  for (const ms of [10_000, 20_000]) {
    clock.advance(ms - 1)
    assert.ok(await without(framework, 'UPDATE'))
    clock.advance(1)
    assert.deepEqual(await framework.update('noack', undefined, false), first)
  }
  assert.equal(first.state, 'TASK_STARTING')
  await framework.call('RECONCILE', { reconcile: { tasks: [] } })
  const told = await framework.update('noack', undefined, false)
  assert.deepEqual(
    [told.state, told.reason, told.uuid],
    ['TASK_STARTING', 'REASON_RECONCILIATION', undefined],
  )
  await framework.acknowledge(first)
  const rest = await framework.updatesUntil('noack', 'TASK_FINISHED')
  assert.deepEqual(
    rest.map((s) => [s.state, s.message]),
    [
      ['TASK_RUNNING', undefined],
      ['TASK_FINISHED', 'Command exited with status 0'],
    ],
  )
  assert.equal((await framework.acknowledge(rest[0]!)).status, 202, 'a repeated acknowledgement is ignored')
})

test('ACKNOWLEDGE refuses what is no version-4 UUID in standard base64', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  await framework.offer()
  const table: readonly (readonly [string, string])[] = [
    ['aMNYnW69qCL0qmXyMc1AKw==', 'Failed to validate scheduler::Call: Not a valid UUID'],
    ['c2hvcnQ=', 'Failed to validate scheduler::Call: Not a valid UUID'],
    [
      '***not base64***',
      "Failed to convert JSON into Call protobuf: Failed to base64 decode bytes field 'uuid': Invalid character '*'",
    ],
    [
      '-__--__--__--__--__--w==',
      "Failed to convert JSON into Call protobuf: Failed to base64 decode bytes field 'uuid': Invalid character '-'",
    ],
  ]
  for (const [uuid, text] of table) {
    const acknowledge = { agent_id: { value: 'a' }, task_id: { value: 't' }, uuid }
    assert.deepEqual(await framework.call('ACKNOWLEDGE', { acknowledge }), { status: 400, text })
  }
})

test('RECONCILE and KILL tell of known and unknown tasks, LOST to who knows no partitions', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  await framework.launch(offer, [task('long', offer, 'sleep 60')])
  await framework.updatesUntil('long', 'TASK_RUNNING')
  const told = async (call: string, id: string, agentId?: string) => {
    const named = {
      task_id: { value: id },
      ...(agentId === undefined ? {} : { agent_id: { value: agentId } }),
    }
    await framework.call(call, call === 'KILL' ? { kill: named } : { reconcile: { tasks: [named] } })
    const { state, message, reason, uuid } = await framework.update(id)
    assert.deepEqual([reason, uuid], ['REASON_RECONCILIATION', undefined])
    return [state, message]
  }
  const here = offer.agent_id.value
  assert.deepEqual(await told('RECONCILE', 'long', here), [
    'TASK_RUNNING',
    'Reconciliation: Latest task state',
  ])
  for (const call of ['RECONCILE', 'KILL']) {
    assert.deepEqual(await told(call, 'nope', here), [
      'TASK_GONE',
      'Reconciliation: Task is unknown to the agent',
    ])
    assert.deepEqual(await told(call, 'nope'), ['TASK_UNKNOWN', 'Reconciliation: Task is unknown'])
    assert.deepEqual(await told(call, 'nope', 'nosuch-S9'), [
      'TASK_UNKNOWN',
      'Reconciliation: Task is unknown',
    ])
  }
  const old = await subscribe({ info: { capabilities: [{ type: 'MULTI_ROLE' }] } })
  await old.call('KILL', { kill: { task_id: { value: 'nope' } } })
  assert.equal((await old.update('nope')).state, 'TASK_LOST')
})

test('subscribe with a living id fails the old stream over, whose offers die unannounced', async (t) => {
  const { subscribe } = await start(t)
  const old = await subscribe()
  const oldOffer = await old.offer()
  const young = await subscribe({ id: old.id })
  assert.equal((await old.next('error', (e) => e.type === 'ERROR')).error!.message, 'Framework failed over')
  await old.end()
  const offer = await young.offer()
  assert.notEqual(offer.id.value, oldOffer.id.value)
  const text = `The stream ID '${old.streamId}' included in this request didn't match the stream ID currently associated with framework ID ${old.id}`
  assert.deepEqual(await old.call('REVIVE'), { status: 400, text })
  await young.launch(oldOffer, [task('oldoffer', oldOffer, 'true')])
  assert.equal((await young.update('oldoffer')).state, 'TASK_DROPPED')
  assert.ok(young.events.every((event) => event.type !== 'RESCIND'))
})

test('a framework may come back within its failover_timeout, and is removed with its tasks after that', async (t) => {
  const { subscribe, clock, url } = await start(t)
  const first = await subscribe({ info: { failover_timeout: 8 } })
  const offer = await first.offer()
  await first.launch(offer, [task('keep', offer, 'sleep 60')])
  await first.updatesUntil('keep', 'TASK_STARTING', false)
  const { id } = first
  const lost = async (framework: TestFramework): Promise<void> => {
    await framework.disconnect()
    const headers = { 'mesos-stream-id': framework.streamId }
    while ((await post(url, headers, { type: 'REVIVE', framework_id: { value: id } })).status !== 403);
  }
  await lost(first)
  clock.advance(7_999)
  const second = await subscribe({ id, info: { user: 'nobody', checkpoint: false, failover_timeout: 8 } })
  assert.equal(
    (await second.update('keep', undefined, false)).state,
    'TASK_STARTING',
    'what it had not acknowledged comes at once',
  )
  await lost(second)
  clock.advance(8_000)
  const late = await subscribe({ id })
  assert.equal(
    (await late.next('error', (e) => e.type === 'ERROR')).error!.message,
    'Framework has been removed',
  )
  await late.end()
  const call = await post(
    url,
    { 'mesos-stream-id': late.streamId },
    { type: 'REVIVE', framework_id: { value: id } },
  )
  assert.deepEqual([call.status, call.body], [400, 'Framework cannot be found'])
})

test('a framework without failover_timeout is removed the moment it is gone', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe({ info: { failover_timeout: 0 } })
  await framework.offer()
  const { id } = framework
  const other = await subscribe()
  await framework.disconnect()
  await other.offer()
  const late = await subscribe({ id })
  assert.equal(
    (await late.next('error', (e) => e.type === 'ERROR')).error!.message,
    'Framework has been removed',
  )
})

test('TEARDOWN ends the stream with the zero chunk and the framework for good', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  await framework.offer()
  assert.equal((await framework.call('TEARDOWN')).status, 202)
  await framework.end()
  assert.deepEqual(await framework.call('REVIVE'), { status: 400, text: 'Framework cannot be found' })
})

test('UPDATE_FRAMEWORK changes roles, rescinds the offers of one removed, and refuses another user', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  const info = {
    user: 'root',
    name: 'test',
    checkpoint: true,
    failover_timeout: 60,
    capabilities: [{ type: 'MULTI_ROLE' }],
    id: { value: framework.id },
  }
  const update = (more: Readonly<Record<string, unknown>>) =>
    framework.call('UPDATE_FRAMEWORK', { update_framework: { framework_info: { ...info, ...more } } })
  const text =
    "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'root' to 'nobody'"
  assert.deepEqual(await update({ roles: ['web'], user: 'nobody' }), { status: 400, text })
  assert.deepEqual(await update({ roles: ['api'] }), { status: 200, text: '' })
  const rescind = await framework.next('rescind', (e) => e.type === 'RESCIND')
  assert.deepEqual(rescind.rescind!.offer_id, offer.id)
  assert.equal((await framework.offer()).resources[0]!.allocation_info.role, 'api')
})

test('offers not answered in time are rescinded and made anew', async (t) => {
  const { subscribe, clock } = await start(t, { offerTimeoutMs: 3_000 })
  const framework = await subscribe()
  const offer = await framework.offer()
  clock.advance(2_999)
  assert.ok(await without(framework, 'OFFERS'))
  clock.advance(1)
  const rescind = await framework.next('rescind', (e) => e.type === 'RESCIND')
  assert.deepEqual(rescind.rescind!.offer_id, offer.id)
  assert.notDeepEqual((await framework.offer()).id, offer.id)
})

test('offers go to the framework that holds less, and what one declines to the other', async (t) => {
  const { subscribe } = await start(t)
  const [rich, poor] = [await subscribe(), await subscribe({ info: { roles: ['api'] } })]
  const offer = await rich.offer()
  await rich.launch(offer, [task('a', offer, 'sleep 60')])
  const rest = await poor.offer()
  assert.equal(amount(rest, 'cpus'), 3.9)
  await decline(poor, rest, 3600)
  assert.equal(amount(await rich.offer(), 'cpus'), 3.9)
})

test('calls that have no effect here are accepted', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  await framework.offer()
  const nope = { agent_id: { value: 'nope' }, executor_id: { value: 'nope' } }
  for (const [type, parts] of [
    ['REQUEST', { request: { requests: [] } }],
    ['MESSAGE', { message: { ...nope, data: 'eA==' } }],
    ['SHUTDOWN', { shutdown: nope }],
    ['DECLINE', { decline: { offer_ids: [{ value: 'nope' }] } }],
  ] as const) {
    assert.deepEqual(await framework.call(type, parts), { status: 202, text: '' }, type)
  }
})

function readJson<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../testdata', name), 'utf8')) as T
}

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** By `node:http`, which adds no header of its own to the request. */
function send(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body?: string | Buffer,
  chunked?: true,
): Promise<Answered> {
  return new Promise((done, fail) => {
    const length = body === undefined || chunked ? {} : { 'content-length': Buffer.byteLength(body) }
    const out = httpRequest(url, { method, headers: { ...headers, ...length } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        done({
          status: response.statusCode!,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      )
    })
    out.on('error', fail)
    if (chunked) out.write(body)
    out.end(chunked ? undefined : body)
  })
}

function post(url: string, headers: Readonly<Record<string, string>>, body: unknown): Promise<Answered> {
  return send(
    `${url}/api/v1/scheduler`,
    'POST',
    { 'content-type': 'application/json', ...headers },
    JSON.stringify(body),
  )
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
