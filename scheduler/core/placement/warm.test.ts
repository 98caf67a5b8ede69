import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from '../testing/world.ts'

const settings = {
  istreams: { in: { grouping: 'groupBy' as const } },
  resources: { cpus: 0.1, memMib: 16 },
  instancesPerRunner: 2,
  instances: 4,
  scale: { min: 0, max: 4, idle: { warm: true } },
}

function scale(world: World, instances: number): void {
  world.functions.set('f', { ...world.functions.get('f')!, instances })
  world.settle(40)
}

test('step keeps one empty runner of a warm function that is scaled to zero, and seats its first instance there', () => {
  const world = new World(3)
  world.connect()
  world.deploy('f', settings)
  world.settle(10)
  assert.equal(world.runners.size, 2)
  scale(world, 0)
  const [[taskId, runner] = []] = world.runners
  assert.equal(world.runners.size, 1, 'the other one has gone')
  assert.equal(runner?.instances.size, 0)
  scale(world, 1)
  assert.deepEqual([...world.runners.keys()], [taskId])
  assert.deepEqual([...runner!.instances.keys()], ['f-0'])
})

test('step keeps no empty runner of a function that is not warm, or is removed', () => {
  const world = new World(3)
  world.connect()
  world.deploy('f', settings)
  world.settle(10)
  scale(world, 0)
  assert.equal(world.runners.size, 1)
  world.deploy('f', { ...settings, instances: 0, scale: { min: 0, max: 4 } })
  world.settle(40)
  assert.equal(world.runners.size, 0)
  world.deploy('f', { ...settings, instances: 1 })
  world.settle(10)
  scale(world, 0)
  assert.equal(world.runners.size, 1)
  world.functions.set('f', { ...world.functions.get('f')!, deleted: true })
  world.settle(40)
  assert.equal(world.runners.size, 0)
})
