import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from '../testing/world.ts'

const manifest = {
  istreams: { in: { grouping: 'groupBy' } },
  instances: 2,
  resources: { cpus: 0.5 },
} as const

/** v1 is good in two instances, and both were told to swap to v2; then a new leader takes over from the store. */
function taken(): World {
  const world = new World()
  world.connect()
  world.deploy('fn', manifest)
  world.settle(20)
  world.deploy('fn', manifest)
  hear(world)
  world.restart()
  world.connect()
  return world
}

/** Delivers assignments and reports; swaps complete only when the test says so. */
function hear(world: World): void {
  for (let round = 0; round < 3; round++) {
    world.publish()
    for (const runner of world.runners.values()) {
      while (runner.mail.length > 0) world.readMail(runner)
      world.beat(runner)
    }
  }
}

/** @param records How many records came to each instance during the trial. */
function changeAll(world: World, fails: boolean, records?: readonly number[]): void {
  let nth = 0
  for (const runner of world.runners.values())
    for (const id of runner.instances.keys()) world.swap(runner, id, fails, records?.[nth++])
  for (const runner of world.runners.values()) world.beat(runner)
}

const versionsOf = (world: World) => {
  const { version, good } = world.functions.get('fn')!
  return { version, good }
}

test('a new leader calls a version good only once its runners have reported that it works', () => {
  const world = taken()
  const seats = [...world.seats.values()].map(({ version }) => version)
  assert.deepEqual([seats, versionsOf(world)], [[2, 2], { version: 2, good: 1 }])
  hear(world)
  assert.deepEqual(versionsOf(world), { version: 2, good: 1 }, 'both are on trial')
  changeAll(world, false)
  assert.deepEqual(versionsOf(world), { version: 2, good: 2 })
})

test('a version that fails after a change of leader is rolled back by the new leader', () => {
  const world = taken()
  hear(world) // a report counts once the runner has this leader's assignment
  changeAll(world, true)
  assert.deepEqual(versionsOf(world), { version: 1, good: 1 })
})

test('a version deployed while nobody led is swapped in once the new leader has heard the instance', () => {
  const world = new World()
  world.connect()
  world.deploy('fn', manifest)
  world.settle(20)
  const tasks = [...world.seats.values()].map(({ taskId }) => taskId)
  world.disconnect()
  world.diesAfter = 0 // the deploy is told to nobody
  world.deploy('fn', manifest)
  world.connect()
  assert.deepEqual(
    [...world.seats.values()].map(({ version }) => version),
    [1, 1],
    'nobody was heard yet',
  )
  hear(world)
  assert.deepEqual(
    [...world.seats.values()].map(({ version }) => version),
    [2, 2],
  )
  assert.deepEqual(versionsOf(world), { version: 2, good: 1 }, 'both are on trial')
  changeAll(world, true)
  assert.deepEqual(versionsOf(world), { version: 1, good: 1 })
  assert.deepEqual(
    [...world.seats.values()].map(({ taskId }) => taskId),
    tasks,
    'none started anew',
  )
})

test('a version that got no record during its trial becomes live, with the outcome untried', () => {
  const untried = [true, 'no record came while it was on trial (1 s)']
  for (const [records, wanted] of [
    [[0, 0], untried],
    [
      [0, 1],
      [undefined, undefined],
    ],
  ] as const) {
    const world = taken()
    hear(world)
    changeAll(world, false, records)
    assert.deepEqual(versionsOf(world), { version: 2, good: 2 })
    const settled = world.actions.findLast((one) => one.kind === 'settleVersion')
    assert.deepEqual([settled?.outcome.untried, settled?.outcome.reason], wanted)
  }
})

test('runners are told of every format of state that was promoted, also of those that the good version no longer has', () => {
  const world = new World()
  world.connect()
  const told: unknown[] = []
  for (const migrates of [false, true, false, true]) {
    world.deploy('fn', manifest, { migrates })
    world.settle(20)
    const assigned = world.actions.findLast((one) => one.kind === 'assign')
    told.push(assigned?.assignment.functions['fn']?.format)
  }
  const second = { own: 2, kept: 2, before: [1] }
  assert.deepEqual(told, [undefined, second, second, { own: 4, kept: 4, before: [1, 2] }])
  assert.deepEqual(versionsOf(world), { version: 4, good: 4 })
})
