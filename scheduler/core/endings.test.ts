import assert from 'node:assert/strict'
import { test } from 'node:test'
import { disorderlyEnds, isUnsaid, leftBehind } from './endings.ts'
import { type Runner, World } from './testing/world.ts'
import { heartbeatOf, reportOf } from './testing/world-heartbeats.ts'

const keyed = { istreams: { in: { grouping: 'groupBy' as const } }, resources: { cpus: 0.5 } }

test('endTask blames nobody for an agent that is drained, nor for an end that an earlier leader had asked for', () => {
  for (const end of [{ exitCode: 0 }, { exitCode: 137, agentDrains: true as const }])
    for (const packing of [{}, { instancesPerRunner: 3 }]) {
      const world = new World()
      world.deploy('f', { ...keyed, ...packing, instances: 3, restarts: 0 })
      world.settle(8)
      world.restart() // the new leader knows of no drain
      world.settle(2)
      for (const taskId of [...world.runners.keys()]) {
        world.runners.delete(taskId)
        world.updates.push({ taskId, condition: 'exited', message: 'told', receipt: 'r', ...end })
      }
      world.settle(8)
      assert.deepEqual(
        world.statuses.get('f')?.instances.map(({ state, restarts }) => [state, restarts]),
        Array(3).fill(['running', 0]),
      )
      assert.equal(world.state.failedAgents.size, 0)
    }
})

test('disorderlyEnds names the instances that did not end in order since then, with the reason', () => {
  const world = new World()
  world.deploy('f', { ...keyed, instances: 4 })
  world.settle(8)
  const [early, signalled, frozen] = [...world.runners.values()]
  const end = (runner: typeof early, exitCode: number) => {
    const { taskId } = runner!.document
    world.runners.delete(taskId)
    world.updates.push({ taskId, condition: 'exited', message: 'ended', receipt: 'r', exitCode })
    world.deliverUpdate()
    return [...runner!.instances.keys()][0]
  }
  end(early, 137)
  world.settle(8)
  const sinceMs = world.nowMs + 1
  world.tick(1)
  world.feed({ kind: 'empty' })
  const killed = [`${end(signalled, 137)} (signal 9)`, `${end(frozen, 15)} (frozen)`]
  world.settle(30)
  assert.equal(world.runners.size, 0)
  assert.deepEqual(disorderlyEnds(world.state, sinceMs).toSorted(), killed.toSorted())
})

test('leftBehind grows by what nobody has processed, and isUnsaid says when that is an upper bound', () => {
  for (const [said, grows, isBound] of [
    [{ sent: 10, acked: 7 }, 3, false],
    [{ sent: 10, acked: 10, dropped: { undelivered: 2 } }, 2, false],
    [{ sent: 100, acked: 100, allowance: 16, parts: 1 }, 16, true], // killed: its last word is missing
  ] as const) {
    const world = new World()
    world.functions.set('g', { schema: 1, version: 1, instances: 0, createdAtMs: 0 })
    world.deploy('f', { ...keyed, ostreams: ['out'], instances: 1 })
    world.settle(8)
    const [{ document, generation, instances } = assert.fail('it runs')] = [...world.runners.values()]
    const [instance = assert.fail('it has one')] = instances.values()
    const row = { stream: 'out', consumer: 'g', dropped: {}, unaccounted: 0, ...said }
    const report = { ...reportOf(instance, 'stopped'), outputs: [row] }
    const beat = heartbeatOf(document.taskId, generation, world.nowMs)
    world.feed({ kind: 'heartbeat', heartbeat: { ...beat, instances: [report] } })
    assert.deepEqual([leftBehind(world.state), isUnsaid(world.state)], [0, false])
    world.exit(document.taskId, isBound ? 137 : 0)
    world.deliverUpdate()
    assert.deepEqual([leftBehind(world.state), isUnsaid(world.state)], [grows, isBound])
    assert.equal(
      leftBehind(world.state, false),
      isBound ? 0 : grows,
      'what may still be heard is not counted ahead',
    )
  }
})

test('disorderlyEnds does not name an instance that was asked to end before it ran', () => {
  for (const ended of [{}, { exitCode: 143 }, { exitCode: 137 }]) {
    const world = new World()
    world.connect()
    world.deploy('f', { ...keyed, instances: 1 })
    world.offer()
    const [{ document } = assert.fail('it is launched')] = [...world.runners.values()]
    world.tick(1_000)
    const sinceMs = world.nowMs
    world.feed({ kind: 'empty' })
    world.runners.delete(document.taskId)
    world.updates = [
      { taskId: document.taskId, condition: 'exited', message: 'killed', receipt: 'r', ...ended },
    ]
    world.deliverUpdate()
    assert.equal(world.state.functions.get('f')?.slots[0]?.phase, 'waiting')
    assert.deepEqual(disorderlyEnds(world.state, sinceMs), [])
  }
})

/** A runner whose agent has not registered with the master to which the scheduler is connected, and which is killed. */
function killedUnknown(): { world: World; runner: Runner; kills: () => number } {
  const world = new World()
  world.deploy('f', keyed)
  world.settle(8)
  const [runner] = world.runners.values()
  world.away.add(runner!.document.agentId)
  world.disconnect()
  world.connect()
  world.updates = [] // the master gives no answer
  world.commands.set('c', { schema: 1, kind: 'killInstance', function: 'f', instance: 'f-0', restart: true })
  world.publish()
  const kills = (): number => world.actions.filter(({ kind }) => kind === 'kill').length
  assert.deepEqual([kills(), runner!.killed], [1, false])
  world.away.clear()
  return { world, runner: runner!, kills }
}

test('a kill that a new master has ignored is repeated when an offer shows that it knows the agent', () => {
  const { world, runner, kills } = killedUnknown()
  world.offersWanted = true
  world.offer()
  assert.deepEqual([kills(), runner.killed], [2, true])
  world.offer()
  assert.equal(kills(), 2, 'once')
})

test('a kill that a new master has ignored is repeated when an update shows that it knows the agent', () => {
  const { world, runner, kills } = killedUnknown()
  const { taskId, agentId } = runner.document
  const told = { taskId, agentId, message: 'Reconciliation' }
  world.feed({ kind: 'task', update: { ...told, condition: 'unsure' } })
  assert.deepEqual([kills(), runner.killed], [1, false], 'it does not know the task')
  world.feed({ kind: 'task', update: { ...told, condition: 'running' } })
  assert.deepEqual([kills(), runner.killed], [2, true])
})

test('a kill that was decided without a connection is repeated in the next one, as soon as the master has told of its agent', () => {
  const world = new World()
  world.deploy('f', keyed)
  world.settle(8)
  const [runner] = world.runners.values()
  world.restart()
  world.commands.set('c', { schema: 1, kind: 'killInstance', function: 'f', instance: 'f-0', restart: true })
  world.publish()
  assert.deepEqual([world.actions.filter(({ kind }) => kind === 'kill').length, runner!.killed], [1, false])
  world.connect()
  world.deliverUpdate() // the answer to what is asked at each connection
  assert.equal(runner!.killed, true)
})
