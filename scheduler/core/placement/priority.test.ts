/** Priorities, making room, and the quota, over whole steps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from '../testing/world.ts'

const input = { istreams: { in: { grouping: 'groupBy' as const } } }
const large = (priority: number) => ({ ...input, resources: { cpus: 2 }, placement: { priority } })
const states = (world: World, name: string) =>
  world.statuses.get(name)?.instances.map((instance) => instance.state)
const kills = (world: World) =>
  world.actions.flatMap((action) => (action.kind === 'kill' ? [action.taskId.split('_')[1]] : []))

/** Three agents of 4 cpus, full of unimportant instances. */
function full(): World {
  const world = new World()
  world.connect()
  world.deploy('low', { ...large(0), instances: 6 })
  world.settle(5)
  assert.deepEqual(states(world, 'low'), Array(6).fill('running'))
  return world
}

test('step makes room for a more important instance on one agent of a full cluster, and for no other', () => {
  const world = full()
  world.deploy('same', { ...large(0), instances: 1 })
  world.settle(60)
  assert.deepEqual(kills(world), [], 'nobody goes for an equal')
  world.deploy('high', { ...large(7), instances: 1 })
  world.settle(4)
  assert.deepEqual(kills(world), [], 'offers were asked for just now')
  world.settle(20)
  assert.deepEqual(states(world, 'high'), ['running'])
  assert.deepEqual(kills(world), ['low'], 'one had to go')
  const [gone] = (world.statuses.get('low')?.instances ?? []).filter(({ state }) => state === 'waiting')
  assert.equal(gone?.restarts, 0, 'that is no failure')
  assert.match(gone?.lastExit?.message ?? '', /./)
  world.settle(60)
  assert.deepEqual(kills(world), ['low'])
})

test('step says that room is being made, and for whom', () => {
  const world = full()
  world.deploy('high', { ...large(7), instances: 1 })
  world.settle(3)
  world.tick(5_000)
  assert.match(world.statuses.get('high')?.instances[0]?.why ?? '', /^room is made for it on agent-\d/)
  const draining = world.statuses.get('low')?.instances.find(({ state }) => state === 'draining')
  assert.equal(draining?.why, 'it makes room for high-0, which is more important')
})

test('step makes room once, and again only if the room did not appear', () => {
  const world = full()
  world.deploy('high', { ...large(7), instances: 1 })
  world.settle(1)
  for (let i = 0; i < 20; i++) world.tick(1_000) // the task that should end is silent
  assert.deepEqual(new Set(kills(world)).size, 1)
  assert.equal(
    world.actions.filter((action) => action.kind === 'log' && /makes room/.test(action.message)).length,
    1,
  )
})

test('step makes room first for the one of two equals that gets it first (MR4)', () => {
  const world = new World(1)
  world.connect()
  world.deploy('low', { ...large(0), instances: 2 })
  world.settle(5)
  world.deploy('z', { ...large(9), instances: 1 })
  world.deploy('a', { ...large(9), instances: 1 })
  world.settle(20)
  assert.deepEqual([states(world, 'a'), states(world, 'z')], [['running'], ['running']])
  assert.deepEqual(kills(world), ['low', 'low'])
})

test('step has packed instances make room too', () => {
  const world = new World(1)
  world.connect()
  world.deploy('small', { ...input, instances: 4, instancesPerRunner: 4, resources: { cpus: 1 } })
  world.settle(5)
  world.deploy('high', { ...large(1), instances: 2 })
  world.settle(30)
  assert.deepEqual(states(world, 'high'), ['running', 'running'])
  assert.ok(states(world, 'small')?.every((state) => state === 'waiting'))
})

test("step keeps to the namespace's quota, and gives it as the reason", () => {
  const world = new World(3, { cpus: 3 })
  world.connect()
  world.deploy('a', { ...large(9), instances: 1 })
  world.settle(5)
  world.deploy('b', { ...large(9), instances: 1 })
  world.settle(20)
  assert.deepEqual(kills(world), [], 'nobody goes for an equal')
  assert.equal(world.statuses.get('b')?.instances[0]?.why, 'the quota of its namespace is short of 1 cpus')
})

test("step keeps the reason for an instance's placement, across leaders", () => {
  const world = new World()
  world.connect()
  world.deploy('a', { ...input, instances: 1, placement: { constraints: ['hostname == agent-1'] } })
  world.settle(5)
  const placed = '3 offers seen, only agent-1 suits'
  assert.equal(world.statuses.get('a')?.instances[0]?.placed, placed)
  world.restart()
  world.settle(5)
  assert.equal(world.statuses.get('a')?.instances[0]?.placed, placed)
})

test("step drains nobody for what the namespace's quota forbids, however full the agents are (MR3)", () => {
  const world = new World(1, { cpus: 3 })
  world.connect()
  world.deploy('low', { ...input, instances: 3, resources: { cpus: 1 } })
  world.settle(5)
  world.deploy('high', { ...input, instances: 1, resources: { cpus: 4 }, placement: { priority: 9 } })
  world.settle(90)
  assert.deepEqual(kills(world), [])
  assert.match(
    world.statuses.get('high')?.instances[0]?.why ?? '',
    /^the quota of its namespace is short of 4/,
  )
})

test('step makes room within the quota: whoever gives way frees it too (MR3)', () => {
  for (const [agents, quota] of [
    [1, 4],
    [2, 4],
    [1, 6],
  ] as const) {
    const world = new World(agents, { cpus: quota })
    world.connect()
    world.deploy('low', { ...input, instances: 4, resources: { cpus: 1 } })
    world.settle(5)
    world.deploy('high', {
      ...{ ...input, instances: 2, instancesPerRunner: 2, resources: { cpus: 1 } },
      placement: { priority: 9 },
    })
    world.settle(40)
    assert.deepEqual(states(world, 'high'), ['running', 'running'], `${agents} agents, ${quota} cpus`)
  }
})

test('step makes room for as many packed instances as the quota admits, and gives it as the reason of the others (MR3)', () => {
  const world = new World(2, { cpus: 5 })
  world.connect()
  world.deploy('keep', { ...large(9), instances: 1, placement: { priority: 9, constraints: ['zone == b'] } })
  world.deploy('low', {
    ...input,
    instances: 3,
    resources: { cpus: 1 },
    placement: { constraints: ['zone == a'] },
  })
  world.settle(5)
  world.deploy('high', {
    ...{ ...input, instances: 4, instancesPerRunner: 4, resources: { cpus: 1 } },
    placement: { priority: 5, constraints: ['zone == a'] },
  })
  world.settle(120)
  assert.deepEqual(states(world, 'high')?.toSorted(), ['running', 'running', 'running', 'waiting'])
  assert.deepEqual(states(world, 'keep'), ['running'])
  const left = world.statuses.get('high')?.instances.find(({ state }) => state === 'waiting')
  assert.equal(left?.why, 'the quota of its namespace is short of 1 cpus')
})

test('step says that the quota is short although no agent has anything to offer', () => {
  const world = new World(1, { cpus: 4 })
  world.connect()
  world.deploy('keep', { ...large(9), instances: 2 })
  world.settle(5)
  world.deploy('high', { ...large(5), instances: 1 })
  world.settle(10)
  assert.equal(world.statuses.get('high')?.instances[0]?.why, 'the quota of its namespace is short of 2 cpus')
})

for (const instancesPerRunner of [4, 16])
  test(`step makes room for the instances that wait, not for the ${instancesPerRunner} that their runner could hold`, () => {
    const world = new World(1)
    world.connect()
    world.deploy('low', { ...input, instances: 4, resources: { cpus: 1 } })
    world.settle(5)
    world.deploy('high', {
      ...{ ...input, instances: 1, instancesPerRunner, resources: { cpus: 0.5 } },
      placement: { priority: 5 },
    })
    world.settle(40)
    assert.deepEqual(states(world, 'high'), ['running'])
    assert.deepEqual(kills(world), ['low'], 'one is enough')
  })

for (const [what, agents, quota] of [
  ['room', 1, {}],
  ['quota', 2, { cpus: 4 }],
] as const)
  test(`step keeps the ${what} that victims free one by one for the instance that they give way for (MR4)`, () => {
    const world = new World(agents, quota)
    world.connect()
    world.deploy('low', { ...input, instances: 4, resources: { cpus: 1 } })
    world.settle(5)
    world.deploy('high', { ...large(9), instances: 1 })
    world.settle(1)
    for (let second = 0; second < 8; second++) world.tick(1_000)
    const victims = [...world.runners.values()].filter(({ killed }) => killed)
    assert.equal(victims.length, 2)
    const names = () => [...world.runners.values()].map(({ document }) => document.name.split('-')[0]).sort()
    for (const [nth, { document }] of victims.entries()) {
      world.exit(document.taskId, 0)
      while (world.updates.length > 0) world.deliverUpdate()
      world.tick(1_000)
      world.offer()
      assert.deepEqual(names(), nth === 0 ? ['low', 'low', 'low'] : ['high', 'low', 'low'])
    }
    world.settle(60)
    assert.deepEqual(states(world, 'high'), ['running'])
    assert.deepEqual(kills(world), ['low', 'low'])
  })

test('step gives what was kept to others once room has not come in time', () => {
  const world = new World(1)
  world.connect()
  world.deploy('low', { ...input, instances: 4, resources: { cpus: 1 } })
  world.settle(5)
  world.deploy('high', { ...large(9), instances: 1 })
  world.settle(1)
  for (let second = 0; second < 8; second++) world.tick(1_000)
  const [victim] = [...world.runners.values()].filter(({ killed }) => killed)
  world.exit(victim!.document.taskId, 0) // the other one does not end
  while (world.updates.length > 0) world.deliverUpdate()
  world.offer()
  assert.equal(world.runners.size, 3)
  const waits = world.statuses.get('low')?.instances.find(({ state }) => state === 'waiting')
  assert.equal(waits?.why, '1 offer seen; 1 kept off by high-0, for which room is made there')
  for (let second = 0; second < 40; second++) {
    world.tick(1_000)
    for (const runner of world.runners.values()) world.beat(runner)
    world.offer()
  }
  assert.equal(world.runners.size, 4)
})
