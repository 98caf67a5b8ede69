import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './world.ts'

const manifest = {
  istreams: { in: { grouping: 'groupBy' } },
  instances: 2,
  resources: { cpus: 0.5 },
} as const

/** v1 is good in two instances, and both were told of v2; the leader has gone, and the next one has what is in the store. */
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

/** Assignments arrive, and runners say how they stand; no version takes over by itself. */
function hear(world: World): void {
  for (let round = 0; round < 3; round++) {
    world.publish()
    for (const runner of world.runners.values()) {
      while (runner.mail.length > 0) world.readMail(runner)
      world.beat(runner)
    }
  }
}

function changeAll(world: World, fails: boolean): void {
  for (const runner of world.runners.values())
    for (const id of runner.instances.keys()) world.swap(runner, id, fails)
  for (const runner of world.runners.values()) world.beat(runner)
}

const versionsOf = (world: World) => {
  const { version, good } = world.functions.get('fn')!
  return { version, good }
}

test('a new leader takes a version for good when its runners have said that it works, not before', () => {
  const world = taken()
  const seats = [...world.seats.values()].map(({ version }) => version)
  assert.deepEqual([seats, versionsOf(world)], [[2, 2], { version: 2, good: 1 }])
  hear(world)
  assert.deepEqual(versionsOf(world), { version: 2, good: 1 }, 'both are on trial')
  changeAll(world, false)
  assert.deepEqual(versionsOf(world), { version: 2, good: 2 })
})

test('a version that fails after its leader has gone is put back by the next one', () => {
  const world = taken()
  hear(world) // a runner's word counts once it has this leader's assignment
  changeAll(world, true)
  assert.deepEqual(versionsOf(world), { version: 1, good: 1 })
})
