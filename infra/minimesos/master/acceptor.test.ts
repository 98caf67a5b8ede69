/** What becomes of an ACCEPT. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type OfferSeen, scalars, task } from '../test-framework.ts'
import { decline, start } from './test-master.ts'

test('ACCEPT that fails answers for each task, as a real master words it', async (t) => {
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

test('ACCEPT without a required field is refused as a whole, and its offer stays', async (t) => {
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

test('operations that minimesos lacks are refused by events', async (t) => {
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
