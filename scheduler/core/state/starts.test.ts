import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Runner, World } from '../testing/world.ts'
import { startMsOf } from './starts.ts'

const startMs = (world: World) => startMsOf(world.state, 'f', world.nowMs)
const newest = (world: World): Runner => [...world.runners.values()].at(-1) as Runner

/** The newest runner comes up: its first heartbeat, its assignment, and the heartbeat that shows it at work. */
function comesUp(world: World): void {
  const runner = newest(world)
  world.beat(runner)
  while (runner.mail.length > 0) world.readMail(runner)
  world.beat(runner)
}

test('startMsOf measures from the place in a runner to the heartbeat that shows the instance at work, or longer if one is slower now', () => {
  const world = new World()
  world.connect()
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, instances: 1 })
  world.tick(7_000) // no room yet
  world.offer()
  world.tick(12_000)
  assert.equal(startMs(world), undefined)
  comesUp(world)
  assert.equal(startMs(world), 12_000)
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, instances: 2 })
  world.offer()
  world.tick(10_000)
  assert.equal(startMs(world), 12_000)
  world.tick(10_000)
  assert.equal(startMs(world), 20_000)
  world.tick(10_000)
  assert.equal(startMs(world), 30_000)
  comesUp(world)
  world.tick(10_000)
  assert.equal(startMs(world), 30_000)
})

test('startMsOf does not count a start during which NATS was away, before or after its end (ST2)', () => {
  const world = new World()
  world.connect()
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, instances: 1 })
  world.offer()
  world.tick(2_000)
  comesUp(world)
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, instances: 2 })
  world.offer()
  world.feed({ kind: 'bus', up: false })
  world.tick(600_000)
  world.feed({ kind: 'bus', up: true })
  world.tick(1_000)
  assert.equal(startMs(world), 2_000)
  comesUp(world)
  assert.equal(world.state.functions.get('f')?.slots[1]?.phase, 'running')
  assert.equal(startMs(world), 2_000)
})

test('startMsOf knows nothing of a start that an earlier leader began (ST1)', () => {
  const world = new World()
  world.connect()
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, instances: 1 })
  world.offer()
  world.tick(12_000)
  world.restart()
  world.connect()
  world.tick(1_000)
  comesUp(world)
  world.settle(3)
  assert.equal(world.statuses.get('f')?.instances[0]?.state, 'running')
  assert.equal(startMs(world), undefined)
})
