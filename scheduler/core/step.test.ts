import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceStatus } from '../../infra/store/index.ts'
import type { TaskCondition } from '../engine.ts'
import type { Action } from './state/protocol.ts'
import { type Runner, World } from './testing/world.ts'
import { heartbeatOf, reportOf } from './testing/world-heartbeats.ts'

const counting = {
  istreams: { in: { grouping: 'groupBy' as const } },
  ostreams: ['out'],
  resources: { cpus: 0.5 },
}

/** A world with one function whose instances all run. */
function running(instances = 1, restarts = 1_000): World {
  const world = new World()
  world.deploy('f', { ...counting, instances, restarts })
  world.settle(8)
  assert.deepEqual(states(world), Array(instances).fill('running'))
  world.actions.length = 0
  return world
}

const instances = (world: World): readonly InstanceStatus[] => world.statuses.get('f')?.instances ?? []
const states = (world: World) => instances(world).map((instance) => instance.state)
const only = (world: World): Runner => [...world.runners.values()][0] as Runner
const kinds = (world: World) => world.actions.map((action) => action.kind)
function acts<K extends Action['kind']>(world: World, kind: K): Extract<Action, { kind: K }>[] {
  return world.actions.filter((action): action is Extract<Action, { kind: K }> => action.kind === kind)
}
function tell(world: World, taskId: string, condition: TaskCondition): void {
  world.feed({ kind: 'task', update: { taskId, agentId: 'agent-0', condition, message: 'told' } })
}

test('step backs off twice as long after each failure in a row, then stops, and a new version starts afresh', () => {
  const world = new World()
  world.deploy('f', { ...counting, restarts: 3 })
  const started = (): string => {
    for (let i = 0; world.runners.size === 0; i++) {
      assert.ok(i < 20)
      world.settle(1)
    }
    return only(world).document.taskId
  }
  const delays: number[] = []
  for (let failure = 1; failure <= 3; failure++) {
    world.exit(started(), 10)
    world.updates.splice(0, world.updates.length - 1)
    world.deliverUpdate()
    assert.deepEqual(states(world), ['backingOff'])
    assert.equal(instances(world)[0]?.restarts, failure)
    delays.push((world.state.functions.get('f')?.slots[0]?.untilMs ?? 0) - world.nowMs)
  }
  assert.ok(
    delays.every((delayMs, i) => delayMs >= 500 * 2 ** i && delayMs <= 1_000 * 2 ** i),
    `${delays}`,
  )
  world.exit(started(), 10)
  world.settle(200)
  assert.deepEqual(states(world), ['crashLooping'])
  assert.equal(world.runners.size, 0)
  assert.match(instances(world)[0]?.why ?? '', /4 times in a row/)
  assert.deepEqual(instances(world)[0]?.lastExit?.reason, 'functionFailed')
  world.deploy('f', { ...counting, restarts: 3 })
  world.settle(5)
  assert.deepEqual(states(world), ['running'])
  assert.equal(instances(world)[0]?.restarts, 0)
})

test('step restarts an instance that worked for a while at once, however often it is killed (EN2)', () => {
  const world = running()
  for (let failure = 1; failure <= 12; failure++) {
    world.exit(only(world).document.taskId, 137)
    world.deliverUpdate()
    assert.deepEqual(states(world), ['waiting'])
    assert.equal(instances(world)[0]?.restarts, failure)
    world.settle(20)
    assert.deepEqual(states(world), ['running'])
  }
})

function scale(world: World, count: number): void {
  world.functions.set('f', { ...world.functions.get('f')!, instances: count })
  world.publish()
}
const owned = (world: World) =>
  [...world.runners.values()].flatMap((runner) => [...runner.instances.values()].map(({ owns }) => owns.size))

test('step releases partitions only when the instance that should have them works', () => {
  const world = running(1)
  scale(world, 2)
  for (let i = 0; i < 30 && states(world)[1] !== 'running'; i++) {
    assert.deepEqual(
      acts(world, 'assign').filter(({ assignment }) => assignment.taskId === only(world).document.taskId),
      [],
    )
    world.settle(1)
  }
  assert.deepEqual(states(world), ['running', 'running'])
  world.settle(8)
  assert.deepEqual(owned(world), [8, 8])
})

test('step ends a superfluous instance when others have its partitions, or after a while if they cannot take them', () => {
  const world = running(2)
  scale(world, 1)
  assert.ok(!kinds(world).includes('kill'))
  world.settle(8)
  assert.deepEqual([states(world), owned(world)], [['running'], [16]])
  const stuck = running(2)
  const second = [...stuck.runners.values()][1]!
  stuck.actions.length = 0
  scale(stuck, 1)
  second.mail.length = 0
  stuck.tick(29_000)
  assert.ok(!kinds(stuck).includes('kill'))
  stuck.tick(1_000)
  assert.deepEqual(
    acts(stuck, 'kill').map(({ taskId }) => taskId),
    [second.document.taskId],
  )
})

test("step uses a runner's last words on stderr if it could not report over NATS", () => {
  const endedWith = (message: string) => {
    const world = running(1, 1)
    const { taskId } = only(world).document
    world.runners.delete(taskId)
    world.feed({ kind: 'task', update: { taskId, condition: 'exited', exitCode: 18, message } })
    return instances(world)[0]?.lastExit
  }
  const said = '{"exit":{"code":18,"reason":"disconnected","message":"NATS does not answer at nats://h:1"}}'
  assert.deepEqual(
    [
      `Command exited with status 18: ${said}`,
      'Command exited with status 18: {"exit":',
      'Command exited with status 18',
    ].map((message) => [endedWith(message)?.reason, endedWith(message)?.message]),
    [
      ['disconnected', 'NATS does not answer at nats://h:1'],
      ['disconnected', 'Command exited with status 18: {"exit":'],
      ['disconnected', 'Command exited with status 18'],
    ],
  )
})

test('step forgets failures after five minutes of running', () => {
  const world = running(1, 1)
  for (let i = 0; i < 3; i++) {
    world.tick(300_000)
    world.exit(only(world).document.taskId, 1)
    world.settle(5)
    assert.deepEqual(states(world), ['running'])
    assert.equal(instances(world)[0]?.restarts, 1)
  }
})

test('step restarts a crash-looping instance on command', () => {
  const world = running(1, 0)
  world.exit(only(world).document.taskId, 10)
  world.settle(3)
  assert.deepEqual(states(world), ['crashLooping'])
  world.commands.set('c', { schema: 1, kind: 'killInstance', function: 'f', instance: 'f-0', restart: true })
  world.settle(5)
  assert.deepEqual(states(world), ['running'])
  assert.equal(world.commands.size, 0)
})

test('step kills a starting task that stays silent, and holds it against its agent alone', () => {
  const world = new World()
  world.connect()
  world.deploy('f', counting)
  world.offer()
  world.deliverUpdate()
  assert.deepEqual(states(world), ['starting'])
  world.tick(29_999)
  assert.deepEqual(acts(world, 'kill'), [])
  world.tick(1)
  assert.deepEqual(
    acts(world, 'kill').map(({ atOnce }) => atOnce),
    [true],
    'it was never told anything: there is nothing to drain',
  )
  world.exit(only(world).document.taskId, 0)
  world.deliverUpdate()
  assert.deepEqual(states(world), ['backingOff'])
  assert.equal(instances(world)[0]?.lastExit?.reason, 'silent')
  assert.equal(instances(world)[0]?.restarts, 0)
  assert.equal(world.state.failedAgents.size, 1)
})

test('step lets a silent task drain if an earlier leader may have given it work', () => {
  const world = new World()
  world.connect()
  world.deploy('f', counting)
  world.offer()
  world.restart()
  world.connect()
  world.deliverUpdate()
  world.tick(30_000)
  assert.deepEqual(
    acts(world, 'kill').map(({ atOnce }) => atOnce),
    [undefined],
  )
})

test('step does not blame a starting task for silence while NATS is away, whoever leads (WG1)', () => {
  for (const begin of [() => {}, (world: World) => world.restart()]) {
    const world = new World()
    world.connect()
    world.deploy('f', counting)
    world.offer()
    world.deliverUpdate()
    begin(world)
    world.feed({ kind: 'bus', up: false })
    tell(world, only(world).document.taskId, 'running')
    world.tick(100_000)
    world.feed({ kind: 'bus', up: true })
    world.tick(29_000)
    assert.deepEqual(acts(world, 'kill'), [])
  }
})

test('step leaves a running task alone, however long it is silent', () => {
  const world = running()
  for (let i = 0; i < 100; i++) world.tick(10_000)
  assert.deepEqual(acts(world, 'kill'), [])
  assert.deepEqual(states(world), ['running'])
})

test('step reconciles a task that was silent since its launch', () => {
  const world = new World()
  world.connect()
  world.deploy('f', counting)
  world.offer()
  world.updates.length = 0
  world.tick(30_000)
  assert.deepEqual(
    acts(world, 'reconcile').map((action) => action.taskId),
    [only(world).document.taskId],
  )
  world.tick(30_000)
  assert.equal(acts(world, 'reconcile').length, 2)
})

test('step waits for a task that the cluster has lost sight of, as long as it sends heartbeats', () => {
  const world = running()
  const { taskId } = only(world).document
  tell(world, taskId, 'unsure')
  world.tick(59_000)
  world.beat(only(world))
  world.tick(59_000)
  assert.deepEqual(states(world), ['running'])
  tell(world, taskId, 'unsure')
  world.tick(60_000)
  assert.deepEqual(states(world), ['waiting'])
  assert.equal(instances(world)[0]?.lastExit?.reason, 'lost')
  world.actions.length = 0
  tell(world, taskId, 'running')
  assert.deepEqual(
    acts(world, 'kill').map((action) => action.taskId),
    [taskId],
    'if it comes back it is a stranger',
  )
})

test("step moves a task's instances at once when the cluster declares it lost, without blame, and fences them off", () => {
  const world = running(1, 0)
  const { taskId } = only(world).document
  const epoch = instances(world)[0]!.epoch
  const had = [...[...world.seats.values()][0]!.shares]
  world.beat(only(world))
  world.tick(20_000)
  tell(world, taskId, 'lost')
  assert.deepEqual(states(world), ['waiting'])
  assert.equal(instances(world)[0]?.restarts, 0)
  assert.deepEqual(world.statuses.get('f')?.fences, [{ index: 0, epoch: epoch + 1, shares: had }])
  world.runners.clear()
  world.settle(5)
  assert.deepEqual(states(world), ['running'])
  assert.ok(instances(world)[0]!.epoch > epoch)
  world.actions.length = 0
  tell(world, taskId, 'running')
  assert.equal(acts(world, 'kill')[0]?.taskId, taskId, 'its agent is back: it is a stranger now')
})

test('step fences off a lost instance only by an instance that has some of its shares: the lost one may still work', () => {
  const world = running(2, 0)
  const lost = [...world.runners.values()].find(({ instances }) => instances.has('f-1'))!
  const fences = () =>
    acts(world, 'assign')
      .flatMap(({ assignment }) => assignment.instances.filter(({ id }) => id === 'f-0'))
      .flatMap((instance) => instance.fences ?? [])
  tell(world, lost.document.taskId, 'lost')
  world.runners.delete(lost.document.taskId)
  world.settle(1)
  assert.deepEqual(fences(), [])
  world.deploy('f', { ...counting, instances: 1, restarts: 0 }) // the other instance has its shares now
  world.settle(5)
  assert.ok(fences().length > 0)
})

test('step drains everything when told to empty, declines all offers, and leaves no task in the store', () => {
  const world = running(3)
  world.actions.length = 0
  world.feed({ kind: 'empty' })
  assert.equal(acts(world, 'kill').length, 3)
  assert.deepEqual(states(world), ['draining', 'draining', 'draining'])
  world.offer()
  world.deploy('g', counting)
  world.settle(30)
  assert.deepEqual([acts(world, 'launch'), world.runners.size, world.tasks.size], [[], 0, 0])
  assert.deepEqual([...world.seats], [])
  assert.deepEqual(states(world), ['waiting', 'waiting', 'waiting'])
  assert.equal(world.offers.size, 0, 'none is held')
})

test('step does not count a dropped launch as a failure', () => {
  const world = new World()
  world.connect()
  world.deploy('f', { ...counting, restarts: 0 })
  for (const condition of ['dropped', 'lost'] as const) {
    world.offer()
    const { taskId } = only(world).document
    world.runners.clear()
    world.updates.length = 0
    tell(world, taskId, condition)
    assert.deepEqual(states(world), ['backingOff'])
    world.tick(500)
    assert.equal(instances(world)[0]?.restarts, 0)
  }
  world.settle(5)
  assert.deepEqual(states(world), ['running'])
})

test('step kills unknown tasks, seen by the cluster or by heartbeat, but not tasks that report their end', () => {
  const world = running()
  const { taskId } = only(world).document
  tell(world, 'stranger-1', 'running')
  world.feed({ kind: 'heartbeat', heartbeat: heartbeatOf('stranger-2', 1, world.nowMs) })
  assert.deepEqual(
    acts(world, 'kill').map((action) => action.taskId),
    ['stranger-1', 'stranger-2'],
  )
  world.actions.length = 0
  world.exit(taskId, 0)
  world.deliverUpdate()
  world.feed({ kind: 'heartbeat', heartbeat: heartbeatOf(taskId, 1, world.nowMs) })
  tell(world, taskId, 'lost')
  assert.deepEqual(acts(world, 'kill'), [])
})

test('step adds up the counts of ended tasks, even if the last heartbeat comes after the end', () => {
  const world = running()
  world.functions.set('g', { schema: 1, version: 1, instances: 0, createdAtMs: 0 })
  world.publish()
  const row = { stream: 'out', consumer: 'g', sent: 10, acked: 7, dropped: { late: 1 }, unaccounted: 1 }
  const beatWith = (runner: Runner, recordsIn: number, exit?: string) => {
    const { taskId } = runner.document
    const base = heartbeatOf(taskId, runner.generation, world.nowMs)
    const [instance] = runner.instances.values()
    const of = instance ?? assert.fail('it has an instance')
    const report = { ...reportOf(of, 'running'), recordsIn, recordsOut: 10, errors: 2, outputs: [row] }
    world.feed({
      kind: 'heartbeat',
      heartbeat: {
        ...base,
        instances: [report],
        ...(exit === undefined
          ? {}
          : { state: 'stopped', exit: { code: 10, reason: 'functionFailed', message: exit } }),
      },
    })
  }
  const first = only(world)
  beatWith(first, 5)
  world.exit(first.document.taskId, 10)
  world.deliverUpdate()
  beatWith(first, 8, 'boom')
  assert.equal(instances(world)[0]?.lastExit?.message, 'boom')
  const ended = { recordsIn: 8, recordsOut: 10, errors: 2, outputs: [{ ...row, unaccounted: 3 }] }
  assert.deepEqual(world.statuses.get('f')?.ended, ended)
  world.settle(10)
  assert.deepEqual(world.statuses.get('f')?.ended, ended, 'counted once, also after it is closed')
  const second = only(world)
  beatWith(second, 1)
  world.exit(second.document.taskId, 10)
  world.settle(10)
  assert.equal(world.statuses.get('f')?.ended.recordsIn, 9)
  assert.deepEqual(world.statuses.get('f')?.ended.outputs, [
    { stream: 'out', consumer: 'g', sent: 20, acked: 14, dropped: { late: 2 }, unaccounted: 6 },
  ])
  world.restart()
  world.settle(5)
  assert.equal(world.statuses.get('f')?.ended.recordsIn, 9, 'and over a new leader')
})

test('step tells producers about a new consumer, a follower, and the removal of an overdue follower', () => {
  const world = running()
  const told = () =>
    acts(world, 'assign')
      .at(-1)
      ?.assignment.functions['f']?.streams['out']?.consumers.map((consumer) => consumer.name)
  world.deploy('g', { istreams: { out: { grouping: 'shuffle' } }, instances: 0 })
  assert.deepEqual(told(), ['g'])
  const before = instances(world)[0]
  assert.ok(before !== undefined && before.generation > before.generationSeen, 'seen when it is in force')
  world.streams.set('out', { schema: 1, partitions: 16, raw: false })
  world.followers.set('out', new Map([['x', { schema: 1, gateway: 'a', renewedAtMs: 1 }]]))
  world.publish()
  assert.deepEqual(told(), ['follower.x', 'g'])
  world.tick(10_000)
  world.followers.set('out', new Map([['x', { schema: 1, gateway: 'a', renewedAtMs: 2 }]]))
  world.publish()
  world.tick(10_999)
  assert.deepEqual(acts(world, 'removeFollower'), [])
  world.tick(1)
  assert.equal(acts(world, 'removeFollower').length, 1)
  world.publish()
  assert.deepEqual(told(), ['g'])
})

test('step keeps a follower that was renewed while the store could not be read', () => {
  const world = running()
  world.streams.set('out', { schema: 1, partitions: 16, raw: false })
  world.followers.set('out', new Map([['x', { schema: 1, gateway: 'a', renewedAtMs: 1 }]]))
  world.publish()
  const told = () =>
    acts(world, 'assign')
      .at(-1)
      ?.assignment.functions['f']?.streams['out']?.consumers.map((consumer) => consumer.name)
  assert.deepEqual(told(), ['follower.x'])
  world.followers.set('out', new Map([['x', { schema: 1, gateway: 'a', renewedAtMs: 2 }]])) // read late
  world.tick(30_000)
  assert.ok(acts(world, 'removeFollower').length > 0)
  world.publish()
  assert.deepEqual(told(), ['follower.x'])
})

test('step gives every instance the whole of a broadcast input', () => {
  const world = new World()
  world.deploy('f', { istreams: { all: { grouping: 'broadcast' } }, instances: 2 })
  world.settle(8)
  const latest = new Map(acts(world, 'assign').map((action) => [action.assignment.taskId, action.assignment]))
  for (const assignment of latest.values())
    assert.equal(assignment.instances[0]?.partitions['all']?.length, 16)
  assert.equal(latest.size, 2)
  const names = (): string[] | undefined =>
    world.state.topology.get('all')?.consumers.map(({ name, backPressure }) => `${name} ${backPressure}`)
  assert.deepEqual(names(), ['f@0 block', 'f@1 block'])
  scale(world, 1)
  assert.deepEqual(names(), ['f@0 block', 'f@1 none'], 'who goes for good holds nobody back')
  world.settle(8)
  assert.deepEqual(names(), ['f@0 block'])
})

test('step adopts running tasks after a restart and changes nothing', () => {
  const world = running(3)
  const before = [...world.runners.keys()]
  world.restart()
  world.settle(5)
  assert.deepEqual([...world.runners.keys()], before)
  assert.deepEqual(acts(world, 'kill'), [])
  assert.ok(!kinds(world).includes('launch'))
  assert.ok(!kinds(world).includes('saveEpoch'), 'no epoch changes: nobody takes anything over')
})

test('step wants no offers when nothing waits, and asks again at intervals while something does', () => {
  const world = new World(0)
  world.connect()
  assert.deepEqual(
    acts(world, 'wantOffers').map((action) => action.wanted),
    [false],
  )
  world.deploy('f', { ...counting, resources: { cpus: 100 } })
  assert.deepEqual(
    acts(world, 'wantOffers').map((action) => action.wanted),
    [false, true],
  )
  world.tick(29_000)
  assert.equal(acts(world, 'wantOffers').length, 2)
  world.tick(1_000)
  assert.equal(acts(world, 'wantOffers').length, 3)
  assert.match(instances(world)[0]?.why ?? '', /waits for an offer/)
  world.deploy('f', { ...counting, resources: { cpus: 99 } })
  assert.equal(
    acts(world, 'wantOffers').length,
    4,
    'what did not fit is corrected: what was declined is asked for again',
  )
})
