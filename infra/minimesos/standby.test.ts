/** Two masters on one state folder: what the one that stands by says, and how it takes over. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { startZooKeeper, type ZooKeeperServer } from '../zookeeper/index.ts'
import { type Minimesos, startMinimesos } from './index.ts'
import { send } from './master/test-master.ts'
import type { AgentSpec } from './options.ts'
import { defer, eventually, TestFramework, task, tempDir } from './test-framework.ts'

let dir: string
let server: ZooKeeperServer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'concord-standby-'))
  server = await startZooKeeper({ dir })
})
after(async () => {
  await server?.stop('SIGKILL')
  await rm(dir, { recursive: true, force: true })
})

/** Starts masters of one name, each when the one before has its part. */
function masters(t: TestContext, path: string, agents?: readonly AgentSpec[]) {
  const stateDir = tempDir(t)
  const zookeeper = `zk://${server.connect}/${path}`
  const size = { cpus: 4, memMib: 4096, diskMib: 8192 }
  return async (port = 0): Promise<Minimesos> => {
    const started = await startMinimesos({ port, stateDir, zookeeper, ...size, ...(agents && { agents }) })
    defer(t, () => started.close())
    return started
  }
}

test('a standby redirects every request to the leader, except for its health', async (t) => {
  const start = masters(t, 'points')
  const leader = await start()
  const standby = await start()
  assert.deepEqual([leader.leads, standby.leads], [true, false])
  const { host } = new URL(leader.url)
  const json = { 'content-type': 'application/json' }
  // As recorded of a real one.
  const rows: readonly (readonly [string, string, string | undefined, string])[] = [
    ['POST', '/api/v1/scheduler', '{"type":"SUBSCRIBE"}', '/master/api/v1/scheduler'],
    ['POST', '/api/v1/scheduler', '{"type": ', '/master/api/v1/scheduler'],
    ['POST', '/api/v1', '{"type":"GET_MASTER"}', '/master/api/v1'],
    ['GET', '/state', undefined, '/master/state'],
    ['GET', '/master/state', undefined, '/master/state'],
    ['GET', '/redirect', undefined, ''],
  ]
  for (const [method, path, body, location] of rows) {
    const { status, headers, body: text } = await send(`${standby.url}${path}`, method, json, body)
    assert.deepEqual([status, headers.location, text], [307, `//${host}${location}`, ''], `${method} ${path}`)
  }
  assert.equal((await send(`${standby.url}/health`, 'GET', {})).status, 200)
})

test('a standby takes over the agents and tasks of a leader that ends, and that one returns as a standby', async (t) => {
  const start = masters(t, 'follows')
  const leader = await start()
  const standby = await start()
  const framework = await TestFramework.subscribe(t, { url: leader.url })
  const offer = await framework.offer()
  await framework.launch(offer, [task('lives', offer, 'sleep 600')])
  await framework.updatesUntil('lives', 'TASK_RUNNING')
  const port = Number(new URL(leader.url).port)
  await leader.close()
  await eventually('the standby leads', () => standby.leads)
  const again = await TestFramework.subscribe(t, { url: standby.url, id: framework.id })
  await again.call('RECONCILE', { reconcile: { tasks: [] } })
  const status = await again.update('lives')
  assert.deepEqual([status.state, status.agent_id], ['TASK_RUNNING', offer.agent_id])
  const back = await start(port)
  assert.equal(back.leads, false)
  const { status: code, headers } = await send(`${back.url}/api/v1/scheduler`, 'POST', {}, '')
  assert.deepEqual([code, headers.location], [307, `//${new URL(standby.url).host}/master/api/v1/scheduler`])
})

test('an agent that was killed or cut off stays so for the next master, until it is started', async (t) => {
  const start = masters(t, 'stays', [{ name: 'agent-1' }, { name: 'agent-2' }, { name: 'agent-3' }])
  const leader = await start()
  const standby = await start()
  const framework = await TestFramework.subscribe(t, { url: leader.url })
  const offer = await framework.offer()
  await framework.launch(offer, [task('lives', offer, 'sleep 600')])
  await framework.updatesUntil('lives', 'TASK_RUNNING')
  const [cut, ...others] = [
    offer.hostname!,
    ...['agent-1', 'agent-2', 'agent-3'].filter((a) => a !== offer.hostname),
  ]
  leader.fleet.order(cut!, 'cut')
  leader.fleet.order(others[0]!, 'kill')
  await leader.close()
  await eventually('the standby leads', () => standby.leads)
  const conditions = (): unknown =>
    standby.fleet
      .list()
      .map(({ name, condition }) => [name, condition])
      .sort()
  assert.deepEqual(
    conditions(),
    [
      [cut, 'cut'],
      [others[0], 'down'],
      [others[1], 'up'],
    ].sort(),
  )
  const again = await TestFramework.subscribe(t, { url: standby.url, id: framework.id })
  const hosts = async (): Promise<unknown> => (await again.offer()).hostname
  assert.equal(await hosts(), others[1], 'the only one that is offered')
  for (const name of [cut!, others[0]!]) assert.equal(standby.fleet.order(name, 'start'), 'up')
  await again.call('RECONCILE', { reconcile: { tasks: [] } })
  const status = await again.update('lives')
  assert.deepEqual([status.state, status.agent_id], ['TASK_RUNNING', offer.agent_id], 'it had gone on')
  assert.deepEqual(
    conditions(),
    ['agent-1', 'agent-2', 'agent-3'].map((name) => [name, 'up']),
  )
})

test('a leader that loses ZooKeeper ends, and leaves the state to the next one', async (t) => {
  const start = masters(t, 'loses')
  const leader = await start()
  const framework = await TestFramework.subscribe(t, { url: leader.url })
  const { port } = server
  await server.stop('SIGKILL')
  const why = await leader.lost
  assert.match(why.message, /ZooKeeper/)
  await framework.end()
  await assert.rejects(send(`${leader.url}/health`, 'GET', {}), /ECONNREFUSED/)
  server = await startZooKeeper({ dir, port })
  const next = await start()
  await eventually('it leads, when the node of the one before is gone', () => next.leads)
})
