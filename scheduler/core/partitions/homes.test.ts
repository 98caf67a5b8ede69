import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from '../testing/world.ts'

const shares = Array.from({ length: 16 }, (_, share) => share)

function worldOf(instances: number): World {
  const world = new World()
  world.connect()
  world.deploy('fn', { istreams: { in: { grouping: 'groupBy' } }, instances, resources: { cpus: 0.5 } })
  world.settle(20)
  return world
}

function want(world: World, more: { instances?: number; homes?: Record<string, number> }): void {
  world.functions.set('fn', { ...world.functions.get('fn')!, ...more })
  world.settle(20)
}

/** By share: the index of its owner. */
function homesIn(world: World): (number | undefined)[] {
  const holders = new Map(
    [...world.seats.values()].flatMap(({ index, shares }) => shares.map((share) => [share, index] as const)),
  )
  return shares.map((share) => holders.get(share))
}

const byNumber = (indexes: readonly number[], put: Readonly<Record<number, number>> = {}) =>
  shares.map((share) => put[share] ?? indexes[share % indexes.length])

test('a share moved by hand goes there, and nothing else moves (HO3)', () => {
  const world = worldOf(3)
  assert.deepEqual(homesIn(world), byNumber([0, 1, 2]))
  world.actions.length = 0
  want(world, { homes: { 3: 1, 7: 0 } })
  assert.deepEqual(homesIn(world), byNumber([0, 1, 2], { 3: 1, 7: 0 }))
  assert.equal(world.actions.filter(({ kind }) => kind === 'launch').length, 0, 'no runner is started')
  const shown = world.statuses.get('fn')!.instances.map((one) => one.shares)
  assert.deepEqual(shown, [
    [0, 6, 7, 9, 12, 15],
    [1, 3, 4, 10, 13],
    [2, 5, 8, 11, 14],
  ])
})

test('a share moved by hand stays there through scaling, a restart and a new leader, until it is moved back', () => {
  const world = worldOf(3)
  want(world, { homes: { 3: 1 } })
  want(world, { instances: 4 })
  assert.deepEqual(homesIn(world), byNumber([0, 1, 2, 3], { 3: 1 }))
  const [taskId] = [...world.seats.values()].filter(({ index }) => index === 1).map((seat) => seat.taskId)
  world.exit(taskId!, 10)
  world.restart()
  world.connect()
  world.settle(30)
  assert.deepEqual(homesIn(world), byNumber([0, 1, 2, 3], { 3: 1 }))
  want(world, { homes: {} })
  assert.deepEqual(homesIn(world), byNumber([0, 1, 2, 3]))
})

test('a share moved by hand is at its usual home while that instance is not wanted, and returns with it', () => {
  const world = worldOf(3)
  want(world, { homes: { 4: 2 } })
  want(world, { instances: 2 })
  assert.deepEqual(homesIn(world), byNumber([0, 1]))
  want(world, { instances: 3 })
  assert.deepEqual(homesIn(world), byNumber([0, 1, 2], { 4: 2 }))
})
