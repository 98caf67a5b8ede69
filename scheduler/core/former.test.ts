import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import { type Runner, World } from './testing/world.ts'
import { heartbeatOf, reportOf } from './testing/world-heartbeats.ts'

const row: OutputLedger = {
  ...{ stream: 'out', consumer: 'g', sent: 10, acked: 7, dropped: { late: 1 }, unaccounted: 1 },
}

/** `f` writes what `g` reads. */
function running(): { world: World; of: (name: string) => Runner } {
  const world = new World()
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, ostreams: ['out'] })
  world.deploy('g', { istreams: { out: { grouping: 'groupBy' } } })
  world.settle(20)
  const of = (name: string) =>
    [...world.runners.values()].find(({ instances }) => instances.has(`${name}-0`)) ??
    assert.fail(`${name} runs`)
  return { world, of }
}

function beat(world: World, runner: Runner, said: Partial<InstanceReport>): void {
  const [instance = assert.fail('it has an instance')] = [...runner.instances.values()]
  const report = { ...reportOf(instance, 'running'), ...said }
  const heartbeat = heartbeatOf(runner.document.taskId, runner.generation, world.nowMs)
  world.feed({ kind: 'heartbeat', heartbeat: { ...heartbeat, instances: [report] } })
}

/** Makes a function known that has no version yet. */
function nameFunction(world: World, name: string): void {
  world.functions.set(name, { schema: 1, version: 1, instances: 0, createdAtMs: 0 })
  world.publish()
}

function remove(world: World, name: string): void {
  world.functions.set(name, { ...world.functions.get(name)!, deleted: true })
  world.publish()
}

const formerOf = (world: World) => world.statuses.get('g')?.former

test("step keeps what a removed function had sent in its reader's account, once, across leaders (FM2)", () => {
  const { world, of } = running()
  const { taskId } = of('f').document
  beat(world, of('f'), { outputs: [row, { ...row, consumer: 'gone' }, { ...row, consumer: '$server' }] })
  world.exit(taskId, 0)
  world.deliverUpdate()
  const before = world.statuses.get('f') ?? assert.fail('it has a status')
  remove(world, 'f')
  world.settle(20)
  assert.equal(world.statuses.has('f'), false)
  const kept = { rows: [{ ...row, unaccounted: 3 }], of: { f: 0 } }
  assert.deepEqual(formerOf(world), kept)

  // The store as a leader leaves it that died in between: both statuses are there.
  world.statuses.set('f', before)
  world.functions.set('f', { schema: 1, version: 1, instances: 1, createdAtMs: 0, deleted: true })
  world.restart()
  world.settle(20)
  assert.equal(world.statuses.has('f'), false)
  assert.deepEqual(formerOf(world), kept)
  remove(world, 'g')
  world.settle(20)
  world.deploy('g', { istreams: { out: { grouping: 'groupBy' } } })
  world.settle(20)
  assert.equal(formerOf(world), undefined, 'one that is made anew was sent nothing')
})

test('step removes a function only after the accounts of its killed instances are closed (FM1)', () => {
  const { world, of } = running()
  beat(world, of('f'), { outputs: [{ ...row, allowance: 19 }] })
  world.exit(of('f').document.taskId, 137)
  remove(world, 'f')
  world.deliverUpdate()
  assert.equal(formerOf(world), undefined)
  for (let second = 0; second < 5; second++) world.tick(1_000)
  assert.deepEqual(formerOf(world)?.rows, [{ ...row, sent: 26, unaccounted: 19, isAtMost: true }])
  world.settle(5)
  assert.equal(world.statuses.has('f'), false)
})

test('step takes what a removed function was sent out of the accounts of its senders, so that a new one begins with nothing (FM3)', () => {
  const { world, of } = running()
  const { taskId } = of('f').document
  nameFunction(world, 'other')
  beat(world, of('f'), { outputs: [row, { ...row, consumer: 'other' }, { ...row, consumer: 'g@1' }] })
  world.exit(taskId, 0)
  world.deliverUpdate()
  const sentTo = () => world.statuses.get('f')!.ended.outputs.map(({ consumer }) => consumer)
  world.settle(20)
  assert.deepEqual(sentTo(), ['g', 'other', 'g@1'])
  remove(world, 'g')
  world.settle(20)
  assert.equal(world.statuses.has('g'), false)
  assert.deepEqual(sentTo(), ['other'])
  world.deploy('g', { istreams: { out: { grouping: 'groupBy' } } })
  for (let second = 0; second < 6; second++) world.tick(1_000)
  world.settle(20)
  assert.deepEqual(sentTo(), ['other'], 'also when the account is closed')
})

test('step takes what a killed sender was only about to send out of its account, too (FM3)', () => {
  const { world, of } = running()
  const { taskId } = of('f').document
  const sender = [...of('f').instances.values()][0]!
  const rows = [{ stream: 'out', consumer: 'g', allowance: 80 }]
  world.feed({
    kind: 'allowance',
    notice: { ...{ schema: 1, taskId, instance: sender.id }, ...{ epoch: sender.epoch, number: 1, rows } },
  })
  world.exit(taskId, 137)
  world.deliverUpdate()
  remove(world, 'g')
  for (let second = 0; world.statuses.has('g'); second++) {
    assert.ok(second < 4, 'it is removed before the account is closed')
    world.settle(1)
  }
  world.deploy('g', { istreams: { out: { grouping: 'groupBy' } } })
  for (let second = 0; second < 6; second++) world.tick(1_000)
  assert.deepEqual(world.statuses.get('f')!.ended.outputs, [])
})

test('step leaves out what is heard late, or was stored by an older build, about a removed function (FM3)', () => {
  const others = ['$server', 'follower.x'].map((consumer) => ({ ...row, consumer }))
  const said = { outputs: [row, { ...row, consumer: 'g@1' }, ...others] }
  const sentTo = (world: World) => world.statuses.get('f')!.ended.outputs.map(({ consumer }) => consumer)
  const later = (world: World) => {
    for (let second = 0; second < 6; second++) world.tick(1_000)
    world.deploy('g', { istreams: { out: { grouping: 'groupBy' } } })
    world.settle(20)
    assert.deepEqual(sentTo(world), ['$server', 'follower.x'])
  }

  const late = running()
  const last = late.of('f')
  late.world.exit(last.document.taskId, 0)
  late.world.deliverUpdate()
  remove(late.world, 'g')
  late.world.settle(3)
  assert.equal(late.world.statuses.has('g'), false)
  beat(late.world, last, said)
  later(late.world)

  const killed = running()
  remove(killed.world, 'g')
  killed.world.settle(3)
  beat(killed.world, killed.of('f'), said)
  killed.world.exit(killed.of('f').document.taskId, 137)
  killed.world.deliverUpdate()
  later(killed.world)

  const { world } = running()
  remove(world, 'g')
  world.settle(3)
  const status = world.statuses.get('f')!
  world.statuses.set('f', { ...status, ended: { ...status.ended, outputs: said.outputs } })
  world.restart()
  world.settle(3)
  later(world)
})
