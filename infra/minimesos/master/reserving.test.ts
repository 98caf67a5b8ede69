/** What is reserved: who is offered it, in which words, and how that changes. The words and their order were recorded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCode } from '../../../sdk/errors.ts'
import { startMinimesos } from '../index.ts'
import { amount, type OfferSeen, type TestFramework, task, tempDir } from '../test-framework.ts'
import { decline, send, start, without } from './test-master.ts'

const dynamic = {
  type: 'DYNAMIC',
  role: 'web',
  principal: 'ops',
  labels: { labels: [{ key: 'l', value: '1' }] },
}
const scalar = (name: string, value: number, more: object = {}) => ({
  ...{ name, type: 'SCALAR', scalar: { value }, allocation_info: { role: 'web' }, ...more },
})
const reserved = (reservation: object = dynamic) => [
  scalar('cpus', 1, { reservations: [reservation] }),
  scalar('mem', 256, { reservations: [reservation] }),
]
const operation = (type: 'RESERVE' | 'UNRESERVE', resources: readonly unknown[], id?: string) => ({
  type,
  ...(id === undefined ? {} : { id: { value: id } }),
  [type.toLowerCase()]: { resources },
})
const accept = (framework: TestFramework, offer: OfferSeen, ...operations: unknown[]) =>
  framework.call('ACCEPT', { accept: { offer_ids: [offer.id], operations, filters: { refuse_seconds: 0 } } })
/** Name, amount, and what kind of reservation. */
const held = ({ resources }: OfferSeen) =>
  resources
    .filter(({ name }) => name === 'cpus' || name === 'mem')
    .map((r) => {
      const { scalar: each, role, reservation, reservations = [] } = r as typeof r & Record<string, never[]>
      return [r.name, each?.value, role ?? reservations, ...(reservation === undefined ? [] : [reservation])]
    })
const status = async (framework: TestFramework) =>
  (await framework.next('status', (e) => e.type === 'UPDATE_OPERATION_STATUS')).update_operation_status!
    .status

test('resources that an agent reserves for a role are offered to that role alone, in the form that the framework understands', async (t) => {
  const { subscribe } = await start(t, { reserved: 'cpus(web):1.5;mem(web):1024' })
  const api = await subscribe({ info: { roles: ['api'] } })
  assert.deepEqual(held(await api.offer()), [
    ['cpus', 2.5, []],
    ['mem', 3072, []],
  ])
  const web = await subscribe({ info: { roles: ['web', 'db'] } })
  const offer = await web.offer()
  const fixed = [{ type: 'STATIC', role: 'web' }]
  assert.deepEqual(held(offer), [
    ['cpus', 1.5, fixed],
    ['mem', 1024, fixed],
  ])
  await api.call('TEARDOWN')
  await web.call('TEARDOWN')
  const legacy = await subscribe({ info: { roles: ['web'], capabilities: [{ type: 'MULTI_ROLE' }] } })
  assert.deepEqual(held(await legacy.offer()), [
    ['cpus', 2.5, '*'],
    ['mem', 3072, '*'],
    ['cpus', 1.5, 'web'],
    ['mem', 1024, 'web'],
  ])
})

test('a task may use reserved and unreserved resources, but reserved ones only if it names the reservation', async (t) => {
  const { subscribe, clock } = await start(t, { reserved: 'cpus(web):3.5' })
  const framework = await subscribe()
  const offer = await framework.offer()
  const greedy = task('greedy', offer, 'true', { resources: [scalar('cpus', 3), scalar('mem', 32)] })
  await framework.launch(offer, [greedy])
  const refused = await framework.update('greedy')
  assert.equal(refused.state, 'TASK_ERROR')
  assert.match(refused.message!, /cpus\(allocated: web\)\(reservations: \[\(STATIC,web\)\]\):3\.5/)
  clock.advance(500)
  const again = await framework.offer()
  const mixed = [
    scalar('cpus', 3.5, { reservations: [{ type: 'STATIC', role: 'web' }] }),
    scalar('cpus', 0.5),
    scalar('mem', 64),
  ]
  await framework.launch(again, [task('all', again, 'sleep 60', { resources: mixed })])
  await framework.updatesUntil('all', 'TASK_RUNNING')
  const rest = framework.events.flatMap((e) => e.offers?.offers ?? []).at(-1)!
  assert.deepEqual([amount(rest, 'cpus'), amount(rest, 'mem')], [0, 4032])
})

test('RESERVE changes the next offers, its operation is reported until acknowledged, and UNRESERVE undoes it', async (t) => {
  const { subscribe, clock } = await start(t)
  const framework = await subscribe({ info: { roles: ['web', 'api'] } })
  await accept(framework, await framework.offer(), operation('RESERVE', reserved(), 'op-1'))
  const { uuid, agent_id, ...finished } = await status(framework)
  assert.deepEqual(finished, { operation_id: { value: 'op-1' }, state: 'OPERATION_FINISHED' })
  const { value } = uuid as { value: string }
  assert.equal(Buffer.from(value, 'base64').length, 16)
  clock.advance(10_000)
  assert.deepEqual((await status(framework)).uuid, uuid, 'the same again')
  const acknowledge = { agent_id, uuid: value, operation_id: { value: 'op-1' } }
  await framework.call('ACKNOWLEDGE_OPERATION_STATUS', { acknowledge_operation_status: acknowledge })
  const asked = { operations: [{ operation_id: { value: 'op-1' }, agent_id }] }
  await framework.call('RECONCILE_OPERATIONS', { reconcile_operations: asked })
  assert.deepEqual(await status(framework), {
    operation_id: { value: 'op-1' },
    state: 'OPERATION_UNKNOWN',
    message: 'Reconciliation: Operation is unknown',
    agent_id,
  })

  const offers = framework.events.flatMap((e) => e.offers?.offers ?? [])
  const offer = offers.at(-1)!
  assert.deepEqual(held(offer), [
    ['cpus', 3, []],
    ['mem', 3840, []],
    ['cpus', 1, [dynamic]],
    ['mem', 256, [dynamic]],
  ])
  await accept(framework, offer, operation('UNRESERVE', reserved()))
  const after = await framework.next('offer', (e) => e.offers !== undefined)
  assert.deepEqual(held(after.offers!.offers[0]!), [
    ['cpus', 4, []],
    ['mem', 4096, []],
  ])
})

test('resources reserved in an ACCEPT can be used in it, and stay reserved after a restart of the master', async (t) => {
  const { subscribe, stateDir, stop } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  const info = task('r', offer, 'sleep 60', { resources: reserved() })
  const launch = { type: 'LAUNCH', launch: { task_infos: [info] } }
  await accept(framework, offer, operation('RESERVE', reserved()), launch)
  await framework.updatesUntil('r', 'TASK_RUNNING')
  assert.equal(framework.events.filter((e) => e.type === 'UPDATE_OPERATION_STATUS').length, 0, 'it had no id')
  await stop()
  const next = await startMinimesos({ port: 0, stateDir, cpus: 4, memMib: 4096, diskMib: 8192 })
  t.after(() => next.close())
  const state = (await (await fetch(`${next.url}/state`)).json()) as { slaves: Record<string, unknown>[] }
  const { resources, reserved_resources, used_resources } = state.slaves[0]!
  assert.deepEqual(reserved_resources, { web: { cpus: 1, mem: 256 } })
  assert.deepEqual(used_resources, { cpus: 1, mem: 256 })
  assert.deepEqual((resources as Record<string, unknown>)['cpus'], 4)
})

test('RESERVE that is refused says why, as a real master words it, and only for an operation with an id', async (t) => {
  const { subscribe, clock } = await start(t, { credentials: { principal: 'ops', secret: 's' } })
  const framework = await subscribe({ headers: { authorization: `Basic ${btoa('ops:s')}` } })
  let offer = await framework.offer()
  const rows: readonly (readonly ['RESERVE' | 'UNRESERVE', readonly unknown[], RegExp])[] = [
    [
      'RESERVE',
      reserved({ ...dynamic, role: 'nosuch' }),
      /^A reserve operation was attempted for a resource with role 'nosuch', but the resource was allocated to role 'web'; on agent \S+-S0 at slave\(1\)@127\.0\.0\.1:\d+ \(/,
    ],
    ['RESERVE', [scalar('cpus', 1)], /^Resource cpus\(allocated: web\):1 is not dynamically reserved/],
    ['RESERVE', reserved({ type: 'STATIC', role: 'web' }), /is not dynamically reserved/],
    [
      'RESERVE',
      reserved({ ...dynamic, principal: 'them' }),
      /by authenticated principal 'ops', which does not match .* principal 'them'/,
    ],
    ['RESERVE', reserved({ type: 'DYNAMIC', role: 'web' }), /by principal 'ops', .* no principal set/],
    [
      'RESERVE',
      [scalar('cpus', 400, { reservations: [dynamic] })],
      /^Invalid RESERVE Operation: .* does not contain /,
    ],
    ['UNRESERVE', reserved(), /^Invalid UNRESERVE Operation: .* does not contain /],
  ]
  for (const [i, [type, resources, text]] of rows.entries()) {
    await accept(framework, offer, operation(type, resources), operation(type, resources, `op-${i}`))
    const refusal = await status(framework)
    assert.deepEqual(
      [refusal['operation_id'], refusal['state'], refusal['uuid']],
      [{ value: `op-${i}` }, 'OPERATION_ERROR', undefined],
    )
    assert.match(String(refusal['message']), text)
    clock.advance(500)
    offer = await framework.offer()
    assert.equal(amount(offer, 'cpus'), 4)
  }
})

test('an operator who reserves offered resources makes the master rescind the offer', async (t) => {
  const { subscribe, url } = await start(t)
  const framework = await subscribe({ info: { roles: ['api'] } })
  const offer = await framework.offer()
  const call = (type: string, resources: readonly unknown[], agent_id: object = offer.agent_id) =>
    send(
      `${url}/api/v1`,
      'POST',
      { 'content-type': 'application/json' },
      JSON.stringify({ type, [type.toLowerCase()]: { agent_id, resources } }),
    )
  assert.equal((await call('RESERVE_RESOURCES', reserved())).status, 202)
  const rescind = await framework.next('rescind', (e) => e.type === 'RESCIND')
  assert.deepEqual(rescind.rescind!.offer_id, offer.id)
  assert.equal(amount(await framework.offer(), 'cpus'), 3)
  const web = await subscribe()
  assert.deepEqual(held(await web.offer()), [
    ['cpus', 1, [dynamic]],
    ['mem', 256, [dynamic]],
  ])
  assert.equal(
    (await call('RESERVE_RESOURCES', [scalar('cpus', 99, { reservations: [dynamic] })])).status,
    409,
  )
  assert.equal((await call('RESERVE_RESOURCES', [scalar('cpus', 1)])).status, 400)
  assert.equal((await call('RESERVE_RESOURCES', reserved(), { value: 'nope' })).status, 400)
  assert.equal((await call('UNRESERVE_RESOURCES', reserved())).status, 202)
  await decline(framework, framework.events.flatMap((e) => e.offers?.offers ?? []).at(-1)!, 3600)
  assert.ok(await without(web, 'UPDATE'))
})

test('no more can be reserved than the agent has', async (t) => {
  for (const reserved of ['cpus(web):5', 'gpus(web):1'])
    await assert.rejects(
      startMinimesos({ port: 0, stateDir: tempDir(t), cpus: 4, memMib: 64, diskMib: 64, reserved }),
      (error) => isCode(error, 'ERR_BAD_OPTION') && /the agent has ports/.test((error as Error).message),
    )
})
