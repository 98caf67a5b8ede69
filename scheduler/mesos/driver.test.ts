import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { isCode } from '../../sdk/errors.ts'
import type { EngineEvent, LaunchOrder, TaskRef } from '../engine.ts'
import { until } from '../testing/until.ts'
import { MesosEngine, type MesosOptions } from './driver.ts'
import {
  accepted,
  chunk,
  lastChunk,
  type ReceivedCall,
  ScriptedMaster,
  streamHead,
  subscribed,
  transcript,
} from './scripted-master.ts'

interface Scene {
  readonly master: ScriptedMaster
  readonly engine: MesosEngine
  readonly events: EngineEvent[]
  readonly failures: Error[]
  readonly clock: ManualClock
  known: TaskRef[]
}

async function scene(t: TestContext, options: Partial<MesosOptions> = {}): Promise<Scene> {
  const master = await ScriptedMaster.start()
  const clock = new ManualClock()
  const engine = new MesosEngine({
    url: master.url,
    role: 'concord',
    failoverTimeoutSeconds: 604_800,
    clock,
    random: () => 0.5,
    log: { info() {}, warn() {} },
    ...options,
  })
  t.after(async () => {
    await engine.close()
    await master.close()
  })
  return { master, engine, events: [], failures: [], clock, known: [] }
}

function start(s: Scene): void {
  s.engine.start({
    event: (event) => s.events.push(event),
    knownTasks: () => s.known,
    failed: (error) => s.failures.push(error),
  })
}

/** Subscriptions get the given bytes, in order, and stay open; all other calls are accepted. */
function answerSubscribe(s: Scene, ...answers: (string | Buffer)[]): void {
  let next = 0
  s.master.answer = (call) => (call.body.type === 'SUBSCRIBE' ? (answers[next++] ?? '') : accepted)
}

const open = (frameworkId: string) => streamHead + subscribed(frameworkId)

const order: LaunchOrder = {
  taskId: 'task-1',
  name: 'score-0',
  agentId: 'S0',
  resources: { cpus: 0.25, memMib: 256, diskMib: 0 },
  command: { value: '/usr/bin/node', arguments: ['main.ts'], environment: { CONCORD_TASK_ID: 'task-1' } },
  killGraceMs: 10_000,
}

test('MesosEngine translates what a real master sent into engine events', async (t) => {
  const s = await scene(t)
  answerSubscribe(s, transcript('lifecycle.res.http'))
  start(s)
  await until('the last update', () => s.events.filter((e) => e.kind === 'task').length === 20)

  assert.deepEqual(s.events[0], {
    kind: 'connected',
    frameworkId: '539fd7e1-83c5-44b8-8355-b537a72fbf94-0000',
  })
  const offers = s.events.filter((event) => event.kind === 'offers')
  assert.deepEqual(offers[0]?.offers[0], {
    id: '539fd7e1-83c5-44b8-8355-b537a72fbf94-O0',
    agentId: '539fd7e1-83c5-44b8-8355-b537a72fbf94-S0',
    hostname: '127.0.0.1',
    resources: { cpus: 4, memMib: 4096, diskMib: 8192, ports: 1001 },
    pool: 'web',
    attributes: { rack: 'r1', zone: 'z-a' },
  })
  const last = new Map(
    s.events.flatMap((event) => (event.kind === 'task' ? [[event.update.taskId, event.update]] : [])),
  )
  const summary = [...last.values()].map((u) => [u.taskId, u.condition, u.exitCode, u.receipt !== undefined])
  assert.deepEqual(summary.sort(), [
    ['fail', 'exited', 3, true],
    ['killme', 'exited', 0, true],
    ['no-such-task', 'lost', undefined, false],
    ['no-such-task2', 'unsure', undefined, false],
    ['nocmd', 'exited', 1, true],
    ['ok', 'lost', undefined, false],
    ['stubborn', 'exited', 137, true],
  ])
})

test("MesosEngine sends calls in order, with the stream id, and launches in the master's format", async (t) => {
  const s = await scene(t, { principal: 'concord', secret: 'x:y', user: 'stream' })
  answerSubscribe(s, open('f-1'))
  start(s)
  await until('connected', () => s.events.length === 1)
  s.engine.launch(['o1', 'o2'], [order])
  s.engine.kill({ taskId: 'task-1', agentId: 'S0' }, 10_000)
  s.engine.acknowledge({
    taskId: 'task-1',
    agentId: 'S0',
    condition: 'running',
    message: '',
    receipt: 'q7o=',
  })
  s.engine.wantOffers(false)
  s.engine.decline(['o3'])
  await until('the last call', () => s.master.ofType('DECLINE').length === 1)

  const calls = s.master.calls.slice(1).filter((call) => call.body.type !== 'RECONCILE')
  assert.deepEqual(
    calls.map((call) => call.body.type),
    ['ACCEPT', 'KILL', 'ACKNOWLEDGE', 'SUPPRESS', 'DECLINE'],
  )
  for (const call of calls) {
    assert.equal(call.headers['mesos-stream-id'], 'stream-1')
    assert.equal(call.headers['content-type'], 'application/json')
    assert.deepEqual(call.body.framework_id, { value: 'f-1' })
  }
  const subscribeCall = s.master.calls[0] as ReceivedCall
  assert.equal(
    subscribeCall.headers['authorization'],
    `Basic ${Buffer.from('concord:x:y').toString('base64')}`,
  )
  assert.equal(subscribeCall.headers['mesos-stream-id'], undefined)
  assert.equal(subscribeCall.body.subscribe.framework_info.principal, 'concord')
  assert.equal(subscribeCall.body.subscribe.framework_info.checkpoint, true)
  assert.equal(subscribeCall.body.subscribe.framework_info.user, 'stream')
  assert.deepEqual(calls[0]?.body.accept.operations[0].launch.task_infos[0], {
    name: 'score-0',
    task_id: { value: 'task-1' },
    agent_id: { value: 'S0' },
    resources: [
      { name: 'cpus', type: 'SCALAR', scalar: { value: 0.25 }, allocation_info: { role: 'concord' } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 256 }, allocation_info: { role: 'concord' } },
    ],
    command: {
      shell: false,
      user: 'stream',
      value: '/usr/bin/node',
      arguments: ['/usr/bin/node', 'main.ts'],
      environment: { variables: [{ name: 'CONCORD_TASK_ID', value: 'task-1' }] },
    },
    kill_policy: { grace_period: { nanoseconds: 10_000_000_000 } },
  })
  assert.equal(calls[2]?.body.acknowledge.uuid, 'q7o=')
  assert.ok(calls[4]?.body.decline.filters.refuse_seconds >= 3600)
})

test('MesosEngine subscribes again with its id, on a new connection, when a stream ends', async (t) => {
  const s = await scene(t)
  answerSubscribe(s, open('f-1') + lastChunk, open('f-1'))
  start(s)
  await until('the end', () => s.events.length === 2)
  assert.equal(s.events[1]?.kind, 'disconnected')
  await until('the second subscription', () => {
    s.clock.advance(100)
    return s.events.length === 3
  })
  const [first, second] = s.master.ofType('SUBSCRIBE')
  assert.equal(first?.body.framework_id, undefined)
  assert.deepEqual(second?.body.framework_id, { value: 'f-1' })
  assert.deepEqual(second?.body.subscribe.framework_info.id, { value: 'f-1' })
  assert.notEqual(first?.socket, second?.socket)
})

test('MesosEngine leaves a stream that is silent for three heartbeats', async (t) => {
  const s = await scene(t)
  answerSubscribe(s, open('f-1'), open('f-1'))
  start(s)
  await until('connected', () => s.events.length === 1)
  s.clock.advance(44_999)
  s.master.calls[0]?.socket.write(chunk({ type: 'HEARTBEAT' }))
  s.master.calls[0]?.socket.write(chunk({ type: 'RESCIND', rescind: { offer_id: { value: 'o1' } } }))
  await until('the rescind', () => s.events.length === 2)
  s.clock.advance(44_999)
  assert.equal(s.events.length, 2)
  s.clock.advance(1)
  const gone = await until('disconnected', () => s.events[2])
  assert.match((gone as { why: string }).why, /silent for 45000 ms/)
})

test('MesosEngine registers anew after its framework was removed, if allowed, and ignores unknown events', async (t) => {
  const s = await scene(t, { frameworkId: 'old', onRemoved: 'registerAnew' })
  const unknown = chunk({ type: 'SOMETHING_NEW', something_new: {} })
  answerSubscribe(s, transcript('removed.res.http'), open('f-2') + unknown + chunk({ type: 'HEARTBEAT' }))
  start(s)
  await until('registered', () => {
    s.clock.advance(100)
    return s.events.some((event) => event.kind === 'connected' && event.frameworkId === 'f-2')
  })
  const [first, second] = s.master.ofType('SUBSCRIBE')
  assert.deepEqual(first?.body.framework_id, { value: 'old' })
  assert.equal(second?.body.framework_id, undefined)
  assert.deepEqual(s.failures, [])
})

test('MesosEngine fails after its framework was removed, unless it may register anew', async (t) => {
  const s = await scene(t, { frameworkId: 'old' })
  answerSubscribe(s, transcript('removed.res.http'))
  start(s)
  const failure = await until('the failure', () => s.failures[0])
  assert.ok(isCode(failure, 'ERR_MESOS_REMOVED'))
  assert.match(failure.message, /removed framework old.*mesos\.onRemoved/)
})

test('MesosEngine skips malformed events, declines unreadable offers, and continues', async (t) => {
  const warnings: string[] = []
  const log = { info() {}, warn: (text: string) => warnings.push(text) }
  const s = await scene(t, { log })
  const raw = (text: string) => {
    const record = `${Buffer.byteLength(text)}\n${text}`
    return `${Buffer.byteLength(record).toString(16)}\r\n${record}\r\n`
  }
  const good = { id: { value: 'o2' }, agent_id: { value: 'S0' }, hostname: 'h' }
  const bad = { id: { value: 'o1' }, hostname: 'h' }
  const strange = {
    task_id: { value: 'a' },
    agent_id: { value: 'S0' },
    state: 'TASK_DREAMING',
    uuid: 'q7o=',
  }
  answerSubscribe(
    s,
    open('f-1') +
      raw('{"type":') +
      raw('null') +
      chunk({ type: 'UPDATE' }) +
      chunk({ type: 'UPDATE', update: { status: {} } }) +
      chunk({ type: 'OFFERS' }) +
      chunk({ type: 'OFFERS', offers: { offers: 'none' } }) +
      chunk({ type: 'RESCIND', rescind: {} }) +
      chunk({ type: 'FAILURE' }) +
      chunk({ type: 'UPDATE', update: { status: strange } }) +
      chunk({ type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [{ id: { value: 'i1' } }, {}] } }) +
      chunk({ type: 'OFFERS', offers: { offers: [bad, 7, good] } }),
  )
  start(s)
  const event = await until('the good offer', () => s.events[1])
  assert.ok(event.kind === 'offers')
  assert.deepEqual(
    event.offers.map((offer) => offer.id),
    ['o2'],
  )
  await until('the answers', () => s.master.ofType('DECLINE').length === 1)
  assert.deepEqual(s.master.ofType('DECLINE')[0]?.body.decline.offer_ids, [{ value: 'o1' }])
  assert.deepEqual(s.master.ofType('ACKNOWLEDGE')[0]?.body.acknowledge.uuid, 'q7o=')
  const inverse = s.master.ofType('DECLINE_INVERSE_OFFERS')[0]?.body.decline_inverse_offers
  assert.deepEqual(inverse.inverse_offer_ids, [{ value: 'i1' }])
  assert.equal(s.events.length, 2)
  assert.deepEqual(s.failures, [])
  assert.equal(warnings.filter((text) => /cannot be read/.test(text)).length, 7, warnings.join('; '))
})

test('MesosEngine subscribes with every role, and asks for resources exactly as they were offered', async (t) => {
  const s = await scene(t, { role: 'web, api' })
  const reservations = [{ type: 'STATIC', role: 'api' }]
  const cpus = { name: 'cpus', type: 'SCALAR', scalar: { value: 1 }, reservations }
  const offer = {
    id: { value: 'o1' },
    agent_id: { value: 'S0' },
    hostname: 'h',
    allocation_info: { role: 'api' },
    resources: [cpus],
  }
  answerSubscribe(s, open('f-1') + chunk({ type: 'OFFERS', offers: { offers: [offer] } }))
  start(s)
  await until('the offer', () => s.events.length === 2)
  s.engine.launch(['o1'], [{ ...order, resources: { cpus: 0.25, memMib: 0, diskMib: 0 } }])
  const accept = await until('the launch', () => s.master.ofType('ACCEPT')[0])
  assert.deepEqual(s.master.calls[0]?.body.subscribe.framework_info.roles, ['web', 'api'])
  assert.deepEqual(accept.body.accept.operations[0].launch.task_infos[0].resources, [
    {
      name: 'cpus',
      type: 'SCALAR',
      scalar: { value: 0.25 },
      allocation_info: { role: 'api' },
      reservations,
    },
  ])
})

test('MesosEngine fails without a retry on a wrong secret, and when another takes its id', async (t) => {
  const wrong = await scene(t)
  answerSubscribe(wrong, transcript('unauthorized.res.http'))
  start(wrong)
  const refused = await until('the failure', () => wrong.failures[0])
  assert.ok(isCode(refused, 'ERR_MESOS_REFUSED'))
  assert.match(refused.message, /401.*mesos\.principal/)

  const taken = await scene(t)
  answerSubscribe(
    taken,
    open('f-1') + chunk({ type: 'ERROR', error: { message: 'Framework failed over' } }) + lastChunk,
  )
  start(taken)
  assert.ok(isCode(await until('the failure', () => taken.failures[0]), 'ERR_LEADERSHIP_LOST'))
})

test('MesosEngine follows a standby to the leader', async (t) => {
  const s = await scene(t)
  const leader = await ScriptedMaster.start()
  t.after(() => leader.close())
  leader.answer = () => open('f-1')
  const redirect = transcript('redirect.res.http')
    .toString()
    .replace('127.0.0.1:5050', new URL(leader.url).host)
  answerSubscribe(s, redirect)
  start(s)
  await until('connected', () => s.events.length === 1)
  assert.equal(leader.ofType('SUBSCRIBE').length, 1)
})

test('MesosEngine tries one master after another until one has started', async (t) => {
  const gone = await ScriptedMaster.start()
  const { url } = gone
  await gone.close()
  const s = await scene(t)
  const engine = new MesosEngine({
    url: `${url},${s.master.url}`,
    role: 'concord',
    failoverTimeoutSeconds: 1,
    clock: s.clock,
    random: () => 0.5,
    log: { info() {}, warn() {} },
  })
  t.after(() => engine.close())
  answerSubscribe(s, 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n', open('f-1'))
  engine.start({
    event: (event) => s.events.push(event),
    knownTasks: () => [],
    failed: (error) => s.failures.push(error),
  })
  await until('connected', () => {
    s.clock.advance(1_000)
    return s.events.length === 1
  })
  assert.deepEqual(s.failures, [])
})

test('MesosEngine subscribes again when the master no longer accepts its calls', async (t) => {
  const s = await scene(t)
  const answers = [open('f-1'), open('f-1')]
  s.master.answer = (call) =>
    call.body.type === 'SUBSCRIBE'
      ? (answers.shift() ?? '')
      : 'HTTP/1.1 403 Forbidden\r\nContent-Length: 27\r\n\r\nFramework is not subscribed'
  start(s)
  await until('connected again', () => {
    s.clock.advance(100)
    return s.events.length >= 3
  })
  assert.deepEqual(
    s.events.slice(0, 3).map((event) => event.kind),
    ['connected', 'disconnected', 'connected'],
  )
})

test('MesosEngine reports a launch that the master rejects as refused, and returns the offers', async (t) => {
  const s = await scene(t)
  s.master.answer = (call) => {
    if (call.body.type === 'SUBSCRIBE') return open('f-1')
    return call.body.type === 'ACCEPT'
      ? 'HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\n\r\nMissing this'
      : accepted
  }
  start(s)
  await until('connected', () => s.events.length === 1)
  s.engine.launch(['o1'], [order])
  const event = await until('the refusal', () => s.events[1])
  assert.ok(
    event.kind === 'task' &&
      event.update.condition === 'refused' &&
      /Missing this/.test(event.update.message),
  )
  await until('the decline', () => s.master.ofType('DECLINE').length === 1)
})

test('MesosEngine asks for every known task until each is settled, then for all, at intervals', async (t) => {
  const s = await scene(t)
  s.known = [
    { taskId: 'a', agentId: 'S0' },
    { taskId: 'b', agentId: 'S0' },
  ]
  answerSubscribe(s, open('f-1'))
  start(s)
  const reconciles = () => s.master.ofType('RECONCILE').map((call) => call.body.reconcile.tasks)
  const say = (taskId: string, state: string) => {
    const status = { task_id: { value: taskId }, state, agent_id: { value: 'S0' } }
    s.master.calls[0]?.socket.write(chunk({ type: 'UPDATE', update: { status } }))
  }
  await until('the first', () => reconciles().length === 1)
  assert.deepEqual(reconciles()[0], [
    { task_id: { value: 'a' }, agent_id: { value: 'S0' } },
    { task_id: { value: 'b' }, agent_id: { value: 'S0' } },
  ])
  say('a', 'TASK_RUNNING')
  say('b', 'TASK_UNKNOWN') // its agent may be on its way back
  await until('the answers', () => s.events.length === 3)
  s.clock.advance(1_000)
  await until('the second', () => reconciles().length === 2)
  assert.deepEqual(reconciles()[1], [{ task_id: { value: 'b' }, agent_id: { value: 'S0' } }])
  say('b', 'TASK_RUNNING')
  await until('all, once settled', () => reconciles().length === 3)
  assert.deepEqual(reconciles()[2], [])
  for (let i = 0; i < 20; i++) {
    s.clock.advance(30_000)
    s.master.calls[0]?.socket.write(chunk({ type: 'RESCIND', rescind: { offer_id: { value: `o${i}` } } }))
    await until('it is read', () => s.events.length === 5 + i)
  }
  await until('all again', () => reconciles().length === 4)
  assert.deepEqual(reconciles()[3], [])
})
