/** What the scheduler relies on of a master: README.md says how to ask a real one. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Offer } from '../../scheduler/engine.ts'
import { isCode } from '../../sdk/errors.ts'
import { Observer, orderOn, staysUp } from './observer.ts'
import { openRig } from './rig.ts'

const rig = await openRig()
after(() => rig.close())
const lasting = { failoverTimeoutSeconds: 300 }

test('a framework registers, and is offered what agents have, with their names and attributes', async (t) => {
  const o = Observer.start(t, rig)
  assert.ok((await o.connected()).length > 0)
  const offers = await o.offers()
  for (const { id, agentId, hostname, resources } of offers) {
    assert.ok(id && agentId && hostname)
    assert.ok(resources.cpus > 0 || resources.memMib > 0)
  }
  if (rig.attributes !== undefined)
    assert.deepEqual(
      offers.map(({ attributes }) => attributes),
      rig.attributes,
    )
})

test('an offer declined stays away until offers are asked for; none comes while none is wanted', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const first = await o.offers()
  o.engine.wantOffers(false)
  o.engine.decline(first.map((offer) => offer.id))
  // The master answers calls in order: once this is answered, the decline was taken.
  o.engine.reconcile([{ taskId: 'barrier' }])
  await o.update('barrier')
  const before = o.events.filter((event) => event.kind === 'offers').length
  const other = Observer.start(t, rig)
  await other.connected()
  const theirs = await other.offers()
  assert.ok(theirs.length > 0, 'what one framework does not want another gets')
  assert.equal(o.events.filter((event) => event.kind === 'offers').length, before)
  other.engine.wantOffers(false)
  other.engine.decline(theirs.map((offer) => offer.id))
  o.engine.wantOffers(true)
  assert.ok((await o.offers()).length > 0, 'offers come again when they are wanted')
})

test('a task runs with its arguments and environment, and its end is told with its exit status', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const command = {
    value: '/bin/sh',
    arguments: ['-c', 'exit "$CODE"'],
    environment: { CODE: '7' },
  }
  const coded = await o.run('', { command })
  const seven = await o.update(coded.taskId, 'exited')
  assert.equal(seven.exitCode, 7)
  assert.equal(seven.agentId, coded.agentId)
  const fine = await o.run('exit 0')
  assert.equal((await o.update(fine.taskId, 'exited')).exitCode, 0)
  const killed = await o.run('kill -9 $$')
  assert.equal((await o.update(killed.taskId, 'exited')).exitCode, 137)
})

test('tasks get ports of their own, out of those that were offered, and find them in their environment', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const offers = await o.offers()
  const offer = offers.find(({ resources }) => (resources.ports ?? 0) >= 3 && resources.cpus >= 0.2)
  if (offer === undefined) return t.diagnostic('no agent of the cluster offers ports')
  const resources = { cpus: 0.1, memMib: 32, diskMib: 0 }
  const twice = orderOn(
    offer,
    '[ "$(echo "$CONCORD_PORTS" | tr , "\\n" | sort -u | wc -l)" = 2 ] && exit 2',
    {
      resources: { ...resources, ports: 2 },
    },
  )
  const once = orderOn(offer, 'case "$CONCORD_PORTS" in ""|*,*) exit 9;; *) exit 1;; esac', {
    resources: { ...resources, ports: 1 },
  })
  o.engine.launch([offer.id], [twice, once])
  const ends = new Map<string, number | undefined>()
  while (ends.size < 2) {
    const { taskId, condition, exitCode, message } = await o.next('an end', (event) =>
      event.kind === 'task' && !['pending', 'running'].includes(event.update.condition)
        ? event.update
        : undefined,
    )
    assert.equal(condition, 'exited', message)
    ends.set(taskId, exitCode)
  }
  assert.deepEqual([ends.get(twice.taskId), ends.get(once.taskId)], [2, 1])
})

test('a task that asks for more ports than there are is refused', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const [offer] = await o.offers()
  assert.ok(offer)
  const { ports = 0 } = offer.resources
  const resources = { cpus: 0.1, memMib: 32, diskMib: 0, ports: ports + 1 }
  const greedy = orderOn(offer, 'exit 0', { resources })
  o.engine.launch([offer.id], [greedy])
  assert.equal((await o.update(greedy.taskId)).condition, 'refused')
})

test('a program that is not there ends as failed', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const none = { value: '/nonexistent/program', arguments: [], environment: {} }
  const task = await o.run('', { command: none })
  const { exitCode } = await o.update(task.taskId, 'exited')
  assert.notEqual(exitCode, 0)
})

/** Kills a task and tells its exit status. A task that was killed before it could say how it takes it gets more time. */
async function exitOfKilled(o: Observer, script: string, graceMs: number): Promise<number | undefined> {
  for (let setUpMs = 50; ; setUpMs *= 2) {
    const task = await o.running(script)
    await setTimeout(setUpMs)
    o.engine.kill(task, graceMs)
    const { exitCode } = await o.update(task.taskId, 'exited')
    if (exitCode !== 143 || setUpMs > 10_000) return exitCode
  }
}

test('a kill gives a task its grace, and no more', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const loop = 'while :; do sleep 0.1; done'
  assert.equal(await exitOfKilled(o, `trap "exit 42" TERM; ${loop}`, 60_000), 42)
  assert.equal(await exitOfKilled(o, `trap "" TERM; ${loop}`, 100), 137)
})

test('what is asked of a task that is not there is answered, not ignored', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const [offer] = await o.offers()
  assert.ok(offer)
  o.engine.kill({ taskId: 'never-was', agentId: offer.agentId }, 1_000)
  assert.equal((await o.update('never-was')).condition, 'lost')
  o.engine.reconcile([{ taskId: 'nowhere' }])
  assert.equal((await o.update('nowhere')).condition, 'unsure')
})

test('a launch on an offer that is no more comes back as dropped, one on too little as refused', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const [offer, ...others] = await o.offers()
  assert.ok(offer)
  o.engine.decline([offer.id, ...others.map((other) => other.id)])
  const late = orderOn(offer, 'exit 0')
  o.engine.launch([offer.id], [late])
  const dropped = await o.update(late.taskId)
  assert.equal(dropped.condition, 'dropped')
  assert.equal(dropped.receipt, undefined)
  o.engine.wantOffers(true)
  const [again] = await o.offers()
  assert.ok(again)
  const greedy = orderOn(again, 'exit 0', { resources: { cpus: 100_000, memMib: 32, diskMib: 0 } })
  o.engine.launch([again.id], [greedy])
  assert.equal((await o.update(greedy.taskId)).condition, 'refused')
})

test('a task of a user whom its agent does not have comes back as not started, also after the user was changed', async (t) => {
  const first = Observer.start(t, rig, lasting)
  const frameworkId = await first.connected()
  await first.engine.close()
  const o = Observer.start(t, rig, { ...lasting, frameworkId, user: 'no-such-user' })
  await o.connected()
  const { taskId } = await o.run('exit 0')
  const end = await o.next('its end', (event) =>
    event.kind === 'task' && event.update.taskId === taskId ? event.update : undefined,
  )
  assert.equal(end.condition, 'notStarted')
  assert.match(end.message, /Failed to chown directory to 'no-such-user'/)
})

test('offers of two agents are not taken in one launch', async (t) => {
  const o = Observer.start(t, rig)
  await o.connected()
  const offers = await o.offers()
  const [a, b] = [offers[0], offers.find((offer) => offer.agentId !== offers[0]?.agentId)]
  if (a === undefined || b === undefined) return t.diagnostic('the cluster has one agent')
  const order = orderOn(a, 'exit 0')
  o.engine.launch([a.id, b.id], [order])
  assert.equal((await o.update(order.taskId)).condition, 'dropped')
})

test('an update comes again until it is acknowledged, and the next one only then', async (t) => {
  const first = Observer.start(t, rig, lasting)
  const frameworkId = await first.connected()
  first.acknowledges = false
  const task = await first.run('exit 5')
  const { receipt } = await first.update(task.taskId)
  assert.ok(receipt)
  await first.engine.close()
  const second = Observer.start(t, rig, { ...lasting, frameworkId })
  assert.equal(await second.connected(), frameworkId)
  const again = await second.next('the same update', (event) =>
    event.kind === 'task' && event.update.receipt === receipt ? event.update : undefined,
  )
  assert.notEqual(again.condition, 'exited', 'what follows waits')
  assert.equal((await second.update(task.taskId, 'exited')).exitCode, 5)
})

test('a scheduler that comes back finds its tasks as they are: running, gone, or strange to it', async (t) => {
  const first = Observer.start(t, rig, lasting)
  const frameworkId = await first.connected()
  const known = await first.running(staysUp)
  const stranger = await first.running(staysUp)
  await first.engine.close()
  const gone = { taskId: 'gone-meanwhile', agentId: known.agentId! }
  const second = Observer.start(t, rig, { ...lasting, frameworkId }, [known, gone])
  assert.equal(await second.connected(), frameworkId)
  const seen = new Map<string, string>()
  while (!(seen.has(known.taskId) && seen.has(gone.taskId) && seen.has(stranger.taskId))) {
    const update = await second.next('answer', (event) => (event.kind === 'task' ? event.update : undefined))
    if (update.receipt === undefined) seen.set(update.taskId, update.condition)
  }
  assert.deepEqual(Object.fromEntries(seen), {
    [known.taskId]: 'running',
    [gone.taskId]: 'lost',
    [stranger.taskId]: 'running',
  })
  second.engine.kill(known, 5_000)
  second.engine.kill(stranger, 5_000)
  await second.update(known.taskId, 'exited')
})

test('a second scheduler with the same id takes over, and the first one gives up', async (t) => {
  const first = Observer.start(t, rig, lasting)
  const frameworkId = await first.connected()
  const second = Observer.start(t, rig, { ...lasting, frameworkId })
  assert.equal(await second.connected(), frameworkId)
  assert.ok(isCode(await first.failure(), 'ERR_LEADERSHIP_LOST'))
})

test('a framework that was away too long is removed with its tasks, and registers anew only if it may', async (t) => {
  const first = Observer.start(t, rig)
  const frameworkId = await first.connected()
  const task = await first.running(staysUp)
  await first.engine.close() // its failover timeout is 0
  const second = Observer.start(t, rig, { frameworkId })
  assert.ok(isCode(await second.failure(), 'ERR_MESOS_REMOVED'))
  const third = Observer.start(t, rig, { frameworkId, onRemoved: 'registerAnew' }, [task])
  assert.notEqual(await third.connected(), frameworkId)
  assert.notEqual((await third.update(task.taskId)).condition, 'running', 'its tasks ended with it')
})

test('offers for several roles name their role, and each is used for its own', async (t) => {
  const roles = ['conformance-a', 'conformance-b']
  const o = Observer.start(t, rig, { role: roles.join(',') })
  await o.connected()
  const offer = await o.next('an offer', (event) => (event.kind === 'offers' ? event.offers[0] : undefined))
  assert.ok(roles.includes(offer.pool ?? ''))
  const order = orderOn(offer, 'exit 0')
  o.engine.launch([offer.id], [order])
  assert.equal((await o.update(order.taskId, 'exited')).exitCode, 0)
})

/** Of the first offer of each agent. */
const cpusOf = (offers: readonly Offer[]) =>
  offers.reduce((sum, { resources }) => sum + Math.round(resources.cpus * 1000), 0) / 1000

/** Has the offers of all agents, and gives them back. */
async function cpusOffered(t: TestContext, role: string): Promise<number> {
  const o = Observer.start(t, rig, { role })
  await o.connected()
  const offers = await o.offers()
  await o.engine.close()
  return cpusOf(offers)
}

/** Runs a task on all that an offer holds, whoever it is kept for. */
async function runsOnAll(o: Observer, offer: Offer): Promise<void> {
  const { ports: _, ...resources } = offer.resources
  const order = orderOn(offer, 'exit 3', { resources })
  o.engine.launch([offer.id], [order])
  assert.equal((await o.update(order.taskId, 'exited')).exitCode, 3)
}

if (rig.reservedCpus !== undefined) {
  test('what agents keep for our role is offered to it alone, and used beside the rest', async (t) => {
    const theirs = await cpusOffered(t, 'conformance-a')
    const o = Observer.start(t, rig)
    await o.connected()
    const offers = await o.offers()
    assert.equal(cpusOf(offers), theirs + rig.reservedCpus!)
    await runsOnAll(o, offers[0]!)
  })
}

if (rig.reserve !== undefined) {
  const { reserve } = rig
  test('what an operator reserves for our role while we run is used too, and nobody else is offered it', async (t) => {
    const o = Observer.start(t, rig)
    await o.connected()
    const [first] = await o.offers()
    assert.ok(first)
    const mine = (offers: readonly Offer[]) => offers.find(({ agentId }) => agentId === first.agentId)
    const all = first.resources.cpus
    await reserve(first.agentId, rig.role, 0.3, 'RESERVE')
    try {
      // The master may take the offer back to reserve of it, or leave it as it was.
      o.engine.decline([first.id])
      o.engine.wantOffers(true)
      const again = await o.next('its offer', (event) =>
        event.kind === 'offers' ? mine(event.offers) : undefined,
      )
      assert.equal(again.resources.cpus, all)
      await runsOnAll(o, again)
      await o.engine.close()
      const other = Observer.start(t, rig, { role: 'conformance-b' })
      await other.connected()
      const theirs = await other.next('its offer', (event) =>
        event.kind === 'offers' ? mine(event.offers) : undefined,
      )
      assert.ok(theirs.resources.cpus <= all - 0.3 + 1e-9, `${theirs.resources.cpus} of ${all}`)
      await other.engine.close()
    } finally {
      await reserve(first.agentId, rig.role, 0.3, 'UNRESERVE')
    }
  })
}

test('a standby points to the leader', async (t) => {
  const [leader = ''] = rig.url.split(',')
  const standby = createServer((request, response) => {
    const { host } = new URL(leader)
    response.writeHead(307, { Location: `//${host}/master${request.url}`, 'Content-Length': 0 }).end()
  })
  await new Promise<void>((done) => standby.listen(0, '127.0.0.1', done))
  t.after(() => new Promise((done) => standby.close(done)))
  const url = `http://127.0.0.1:${(standby.address() as AddressInfo).port}`
  const o = Observer.start(t, { ...rig, url })
  assert.ok(await o.connected())
})

if (rig.secret !== undefined) {
  test('a wrong secret is refused, and not tried again', async (t) => {
    const o = Observer.start(t, { ...rig, secret: `${rig.secret}-not` })
    const error = await o.failure()
    assert.ok(isCode(error, 'ERR_MESOS_REFUSED'))
    assert.match(error.message, /mesos\.principal and mesos\.secret/)
  })
}

const { agent, restartMaster } = rig
if (agent !== undefined) {
  test('tasks of an agent that is lost are given up, though they may live, and run when it is back', async (t) => {
    const o = Observer.start(t, rig)
    await o.connected()
    const task = await o.running(staysUp)
    await agent.stop(task.hostname)
    t.after(() => agent.start(task.hostname))
    assert.equal((await o.update(task.taskId)).condition, 'lost')
    o.engine.reconcile([task])
    assert.equal((await o.update(task.taskId)).condition, 'lost')
    await agent.start(task.hostname)
    await o.update(task.taskId, 'running')
    o.engine.kill(task, 5_000)
    await o.update(task.taskId, 'exited')
  })
}

const { drain } = rig
if (drain !== undefined) {
  test('an agent that is drained ends its tasks and says why, and is not offered until it is active again', async (t) => {
    const o = Observer.start(t, rig)
    await o.connected()
    const { taskId, agentId = '' } = await o.running(staysUp)
    await drain(agentId, 'DRAIN')
    assert.equal((await o.update(taskId, 'exited')).agentDrains, true)
    o.engine.wantOffers(true)
    const others = await o.offers()
    assert.ok(others.every((offer) => offer.agentId !== agentId))
    await drain(agentId, 'REACTIVATE')
    await o.next('an offer of it', (event) =>
      event.kind === 'offers' ? event.offers.find((offer) => offer.agentId === agentId) : undefined,
    )
  })
}

if (restartMaster !== undefined) {
  test('a master that dies leaves the tasks alive, and its successor knows the framework by its id', async (t) => {
    const o = Observer.start(t, rig, lasting)
    const frameworkId = await o.connected()
    const task = await o.running(staysUp)
    o.known = [task]
    await restartMaster()
    await o.next('the loss', (event) => (event.kind === 'disconnected' ? true : undefined))
    assert.equal(await o.connected(), frameworkId)
    await o.update(task.taskId, 'running')
    const second = await o.run('exit 9')
    assert.equal((await o.update(second.taskId, 'exited')).exitCode, 9, 'it is of use at once')
    o.engine.kill(task, 5_000)
    assert.equal((await o.update(task.taskId, 'exited')).exitCode, 0, 'the same process as before')
  })
}

if (agent !== undefined && restartMaster !== undefined) {
  test('a new master ignores a kill until the agent of the task is back; then it says that the task runs, and kills it', async (t) => {
    const o = Observer.start(t, rig, lasting)
    await o.connected()
    const task = await o.running(staysUp)
    o.known = [task]
    await agent.stop(task.hostname)
    t.after(() => agent.start(task.hostname))
    await restartMaster()
    await o.next('the loss', (event) => (event.kind === 'disconnected' ? true : undefined))
    await o.connected()
    o.engine.kill(task, 5_000)
    await agent.start(task.hostname)
    // It was asked for at the connection, and is until there is an answer.
    assert.equal((await o.update(task.taskId, 'running', 'exited')).condition, 'running')
    o.engine.kill(task, 5_000)
    await o.update(task.taskId, 'exited')
  })
}

if (agent === undefined || restartMaster === undefined || rig.reserve === undefined || drain === undefined)
  console.error(
    'conformance: no hand on the cluster: agent loss, master fail-over, reservations or draining are not part of this run',
  )
