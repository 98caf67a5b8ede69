/** Frameworks and their calls, against what a real master was recorded to say. Time moves by hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TestFramework, task } from '../test-framework.ts'
import { post, start, without } from './test-master.ts'

test('updates are repeated with the same uuid after 10 and 30 s, and the next state waits', async (t) => {
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

test('ACKNOWLEDGE refuses anything but a version-4 UUID in standard base64', async (t) => {
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

test('RECONCILE and KILL answer for known and unknown tasks, with LOST to frameworks that are not partition-aware', async (t) => {
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

test('SUBSCRIBE with a connected id replaces the old stream, and its offers end without notice', async (t) => {
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

test('a framework may return within its failover_timeout, and is removed with its tasks afterwards', async (t) => {
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

test('a framework without failover_timeout is removed when its stream ends', async (t) => {
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

test('TEARDOWN ends the stream with the zero chunk, and removes the framework', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  await framework.offer()
  assert.equal((await framework.call('TEARDOWN')).status, 202)
  await framework.end()
  assert.deepEqual(await framework.call('REVIVE'), { status: 400, text: 'Framework cannot be found' })
})

test('UPDATE_FRAMEWORK changes roles, rescinds offers of a removed role, and refuses another user', async (t) => {
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

test('calls that have no effect in minimesos are accepted', async (t) => {
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
