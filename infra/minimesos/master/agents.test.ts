/** Several agents, and what a framework hears when one is lost and comes back: as a real master was seen to say it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, frameworkInfo, type TestFramework, task } from '../test-framework.ts'
import { post, send, start } from './test-master.ts'

const agents = [
  { name: 'agent-1', attributes: 'zone:a;rack:r1' },
  { name: 'agent-2', attributes: 'zone:b;rack:r1' },
]
const agentTimeoutMs = 3_000
const notAware = { capabilities: [{ type: 'MULTI_ROLE' }, { type: 'RESERVATION_REFINEMENT' }] }

/** Launches a task that goes on, on agent-1, and tells its offer. */
async function runOn(framework: TestFramework, id: string) {
  const event = await framework.next('offers', (e) =>
    (e.offers?.offers ?? []).some((o) => o.hostname === 'agent-1'),
  )
  const offer = event.offers!.offers.find((o) => o.hostname === 'agent-1')!
  await framework.launch(offer, [task(id, offer, 'sleep 1000')], { filters: { refuse_seconds: 3600 } })
  await framework.updatesUntil(id, 'TASK_RUNNING')
  return offer
}

const says = async (framework: TestFramework, id: string) => {
  const { state, reason, message, uuid } = await framework.update(id)
  assert.equal(uuid, undefined, 'the word of the master itself')
  return [state, reason, message]
}
const reconcile = (framework: TestFramework, id: string, agentId?: { readonly value: string }) => {
  const asked = { task_id: { value: id }, ...(agentId === undefined ? {} : { agent_id: agentId }) }
  return framework.call('RECONCILE', { reconcile: { tasks: [asked] } })
}

test('agents are offered one by one, in one event, each with its attributes', async (t) => {
  const { subscribe } = await start(t, { agents })
  const framework = await subscribe()
  const { offers } = await framework.next('offers', (e) => e.type === 'OFFERS')
  assert.deepEqual(
    offers!.offers.map(({ hostname, attributes }) => [hostname, attributes]),
    [
      ['agent-1', [attribute('zone', 'a'), attribute('rack', 'r1')]],
      ['agent-2', [attribute('zone', 'b'), attribute('rack', 'r1')]],
    ],
  )
  const [a, b] = offers!.offers
  await framework.launch(a!, [task('t', a!, 'true')], { offer_ids: [a!.id, b!.id] })
  const { state, reason, message } = await framework.update('t')
  assert.equal(state, 'TASK_DROPPED')
  assert.equal(reason, 'REASON_INVALID_OFFERS')
  assert.match(message!, /Aggregated offers must belong to one single agent/)
})

test('an agent that is cut off becomes unreachable, and its tasks return with it', async (t) => {
  const { subscribe, clock, fleet } = await start(t, { agents, agentTimeoutMs })
  const aware = await subscribe()
  const offer = await runOn(aware, 'pa')
  const other = await subscribe({ info: notAware })
  await runOn(other, 'np')
  await aware.call('REVIVE')
  await aware.next('an offer to be rescinded', (e) =>
    (e.offers?.offers ?? []).some((o) => o.hostname === 'agent-1'),
  )

  assert.equal(fleet.order('agent-1', 'cut'), 'cut')
  await aware.next('the rescind', (e) => e.type === 'RESCIND')
  clock.advance(agentTimeoutMs - 1)
  assert.ok(!aware.events.some((e) => e.update?.status.state === 'TASK_UNREACHABLE'))
  clock.advance(1)
  assert.deepEqual(await says(aware, 'pa'), [
    'TASK_UNREACHABLE',
    'REASON_AGENT_REMOVED',
    'health check timed out',
  ])
  await aware.next('failure', (e) => e.type === 'FAILURE')
  assert.deepEqual(await says(other, 'np'), ['TASK_LOST', 'REASON_AGENT_REMOVED', 'health check timed out'])

  const why = 'REASON_RECONCILIATION'
  await reconcile(aware, 'pa', offer.agent_id)
  assert.deepEqual(await says(aware, 'pa'), ['TASK_UNREACHABLE', why, 'Reconciliation: Task is unreachable'])
  await reconcile(aware, 'pa')
  assert.deepEqual(await says(aware, 'pa'), ['TASK_UNKNOWN', why, 'Reconciliation: Task is unknown'])
  await aware.call('KILL', { kill: { task_id: { value: 'pa' }, agent_id: offer.agent_id } })
  assert.deepEqual(await says(aware, 'pa'), ['TASK_UNREACHABLE', why, 'Reconciliation: Task is unreachable'])

  assert.equal(fleet.order('agent-1', 'start'), 'up')
  const back = ['TASK_RUNNING', 'REASON_AGENT_REREGISTERED', 'Unreachable agent re-reregistered']
  assert.deepEqual(await says(aware, 'pa'), back)
  assert.deepEqual(await says(other, 'np'), back)
})

test('a framework that does not checkpoint loses its tasks when the agent’s connection breaks', async (t) => {
  const { subscribe, fleet } = await start(t, { agents })
  const framework = await subscribe({ info: { ...frameworkInfo, checkpoint: false } })
  await runOn(framework, 'nc')
  fleet.order('agent-1', 'cut')
  assert.deepEqual(await says(framework, 'nc'), [
    'TASK_LOST',
    'REASON_AGENT_DISCONNECTED',
    'Agent agent-1 disconnected',
  ])
})

test('an agent that was killed leaves no process, and reports the end of its tasks when it returns', async (t) => {
  const { subscribe, fleet, clock } = await start(t, { agents })
  const framework = await subscribe()
  await runOn(framework, 'dies')
  assert.deepEqual(
    fleet.list().map(({ name, condition, tasks }) => [name, condition, tasks]),
    [
      ['agent-1', 'up', ['dies']],
      ['agent-2', 'up', []],
    ],
  )
  assert.equal(fleet.order('agent-1', 'kill'), 'down')
  assert.deepEqual(fleet.list()[0]!.tasks, [])
  fleet.order('agent-1', 'start')
  let last: string | undefined
  const told = framework.updatesUntil('dies', 'TASK_FAILED').then((all) => {
    last = all.at(-1)!.message
  })
  await eventually('its end is told', () => {
    clock.advance(100) // a process that was killed may still be about to die
    return last !== undefined
  })
  await told
  // How far it had come: its shim not yet there, the command not yet, or at work.
  assert.match(last!, /before the command was started|Abnormal executor termination|Killed/)
})

test('an agent marked gone never returns, and its tasks end', async (t) => {
  const { subscribe, url, fleet } = await start(t, { agents })
  const framework = await subscribe()
  const offer = await runOn(framework, 'g')
  const gone = { type: 'MARK_AGENT_GONE', mark_agent_gone: { agent_id: offer.agent_id } }
  const headers = { 'content-type': 'application/json' }
  assert.equal((await send(`${url}/api/v1`, 'POST', headers, JSON.stringify(gone))).status, 200)
  const reason = 'REASON_AGENT_REMOVED_BY_OPERATOR'
  assert.deepEqual(await says(framework, 'g'), [
    'TASK_GONE_BY_OPERATOR',
    reason,
    'Agent has been marked gone',
  ])
  await framework.next('failure', (e) => e.type === 'FAILURE')
  await reconcile(framework, 'g', offer.agent_id)
  const why = ['TASK_GONE_BY_OPERATOR', 'REASON_RECONCILIATION', 'Reconciliation: Task is gone']
  assert.deepEqual(await says(framework, 'g'), why)
  await eventually('the task has ended', () => fleet.list()[0]!.tasks.length === 0)
})

test('agents are listed and controlled over HTTP, only with the credentials', async (t) => {
  const credentials = { principal: 'p', secret: 's' }
  const { url } = await start(t, { agents, credentials })
  assert.equal((await send(`${url}/minimesos/agents`, 'GET', {})).status, 401)
  const headers = { authorization: `Basic ${Buffer.from('p:s').toString('base64')}` }
  const order = (path: string) => send(`${url}/minimesos/agents${path}`, 'POST', headers)
  assert.deepEqual(JSON.parse((await order('/agent-2/kill')).body), { name: 'agent-2', condition: 'down' })
  const listed = await send(`${url}/minimesos/agents`, 'GET', headers)
  assert.deepEqual(
    (JSON.parse(listed.body) as { condition: string }[]).map(({ condition }) => condition),
    ['up', 'down'],
  )
  assert.equal((await order('/agent-9/kill')).status, 404)
  assert.equal((await order('/agent-2/explode')).status, 404)
  assert.equal((await post(url, {}, {})).status, 401)
})

const attribute = (name: string, value: string) => ({ name, type: 'TEXT', text: { value } })

test('an agent that is being drained stays so under the next master, until it is active again', async (t) => {
  const first = await start(t, { agents })
  const framework = await first.subscribe()
  const { agent_id } = await runOn(framework, 'a')
  const operate = (url: string, body: unknown) =>
    send(`${url}/api/v1`, 'POST', { 'content-type': 'application/json' }, JSON.stringify(body))
  const grace = { seconds: 3600 }
  const drain = { agent_id, max_grace_period: grace }
  assert.equal((await operate(first.url, { type: 'DRAIN_AGENT', drain_agent: drain })).status, 200)
  await first.stop()

  const next = await start(t, { agents, stateDir: first.stateDir })
  const again = await next.subscribe()
  const hostnames = (event: { offers?: { offers: readonly { hostname: string }[] } }) =>
    event.offers?.offers.map(({ hostname }) => hostname)
  assert.deepEqual(hostnames(await again.next('offers', (e) => e.type === 'OFFERS')), ['agent-2'])
  const reactivate = { type: 'REACTIVATE_AGENT', reactivate_agent: { agent_id } }
  assert.equal((await operate(next.url, reactivate)).status, 200)
  assert.deepEqual(hostnames(await again.next('offers', (e) => e.type === 'OFFERS')), ['agent-1'])
})
