import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ManifestInput } from '../../../sdk/manifest/manifest.ts'
import type { Action } from '../state/protocol.ts'
import { type Runner, World } from '../testing/world.ts'

type Settings = Omit<ManifestInput, 'name'>

const small = { istreams: { in: { grouping: 'groupBy' as const } }, resources: { cpus: 0.1, memMib: 16 } }
const four: Settings = { ...small, instances: 4, instancesPerRunner: 4 }

function running(functions: Readonly<Record<string, Settings>>, agents = 3): World {
  const world = new World(agents)
  world.connect()
  for (const [name, settings] of Object.entries(functions)) {
    world.deploy(name, settings)
    world.settle(6)
  }
  for (const name of Object.keys(functions)) assert.ok(all(world, name, 'running'), name)
  world.actions.length = 0
  return world
}

const instances = (world: World, name = 'f') => world.statuses.get(name)?.instances ?? []
const all = (world: World, name: string, state: string) =>
  instances(world, name).every((i) => i.state === state)
const runners = (world: World): Runner[] => [...world.runners.values()]
const held = (world: World) => runners(world).map((runner) => [...runner.instances.keys()].sort())
const restarts = (world: World, name = 'f') => instances(world, name).map((instance) => instance.restarts)
function acts<K extends Action['kind']>(world: World, kind: K): Extract<Action, { kind: K }>[] {
  return world.actions.filter((action): action is Extract<Action, { kind: K }> => action.kind === kind)
}

test('step puts the instances of a packed function into one runner, with resources for them and for itself', () => {
  const world = running({ f: four })
  assert.deepEqual(held(world), [['f-0', 'f-1', 'f-2', 'f-3']])
  assert.deepEqual(runners(world)[0]?.document.resources, { cpus: 0.4, memMib: 160, diskMib: 128 })
})

test('step kills or restarts one instance of a packed runner and leaves the others alone', () => {
  const world = running({ f: four })
  const [runner] = runners(world)
  const epochs = () => new Map(instances(world).map(({ id, epoch }) => [id, epoch]))
  const before = epochs()
  const kill = (instance: string, restart: boolean) => {
    world.commands.set(instance, { schema: 1, kind: 'killInstance', function: 'f', instance, restart })
    world.settle(6)
  }
  kill('f-2', true)
  assert.deepEqual(held(world), [['f-0', 'f-1', 'f-2', 'f-3']])
  assert.ok((epochs().get('f-2') ?? 0) > (before.get('f-2') ?? 0))
  assert.equal(epochs().get('f-0'), before.get('f-0'))
  kill('f-1', false)
  assert.deepEqual(held(world), [['f-0', 'f-2', 'f-3']])
  assert.equal(world.functions.get('f')?.instances, 3)
  assert.deepEqual(acts(world, 'kill'), [], 'no task is killed')
  assert.equal(runners(world)[0]?.document.taskId, runner?.document.taskId)
})

test('step deploys a new version into the existing runner, and scales up into its free room', () => {
  const world = running({ f: { ...four, instances: 2 } })
  const taskId = runners(world)[0]?.document.taskId
  world.deploy('f', four)
  world.settle(8)
  assert.deepEqual(
    runners(world).map((runner) => runner.document.taskId),
    [taskId],
  )
  assert.deepEqual(
    [...(runners(world)[0]?.instances.values() ?? [])].map(({ version }) => version),
    [2, 2, 2, 2],
  )
  assert.deepEqual(acts(world, 'launch'), [])
})

test('step ends a packed runner when its last instance has left', () => {
  const world = running({ f: four })
  world.functions.set('f', { ...world.functions.get('f')!, deleted: true })
  world.settle(8)
  assert.deepEqual([world.runners.size, world.tasks.size, world.seats.size], [0, 0, 0])
})

test('step lets functions of one pack share runners, and others not', () => {
  const pack = { ...small, pack: 'tiny', instancesPerRunner: 3 }
  const world = running({
    a: pack,
    b: pack,
    c: { ...small, instancesPerRunner: 3 },
    d: { ...pack, instances: 2 },
  })
  assert.deepEqual(held(world).sort(), [['a-0', 'b-0', 'd-0'], ['c-0'], ['d-1']])
})

test('step asks for a runner with less room if no offer holds it, and finally splits the instances', () => {
  const world = running({ f: { ...four, instances: 3, instancesPerRunner: 64, resources: { cpus: 1.5 } } }, 2)
  assert.deepEqual(held(world), [['f-0', 'f-1'], ['f-2']])
  assert.deepEqual(
    runners(world).map(({ document }) => document.room),
    [2, 1],
  )
})

test('step removes an instance that fails by itself from its runner, and does not count the others as failed', () => {
  const world = running({ f: four })
  const [runner] = runners(world)
  world.fail(runner!, 'f-1')
  world.settle(6)
  assert.deepEqual(restarts(world), [0, 1, 0, 0])
  assert.deepEqual(
    held(world),
    [['f-0', 'f-2', 'f-3'], ['f-1']],
    'who has failed does not go back to his mates',
  )
  assert.equal(instances(world)[1]?.lastExit?.reason, 'functionFailed')
})

test('step counts only a known culprit as failed, and places the others again', () => {
  const world = running({ f: four })
  world.crash(runners(world)[0]!, 'f-3')
  world.settle(8)
  assert.deepEqual(restarts(world), [0, 0, 0, 1])
  assert.deepEqual(held(world), [['f-0', 'f-1', 'f-2'], ['f-3']])
})

test('step finds an unknown culprit by halving the runner (PK1)', () => {
  const world = running({ f: { ...four, instances: 8, instancesPerRunner: 8 } })
  const culprit = 'f-5'
  for (let round = 0; round < 3; round++) {
    const runner = runners(world).find(({ instances }) => instances.has(culprit))
    world.exit(runner?.document.taskId ?? '', 137)
    world.settle(12)
  }
  assert.deepEqual(
    held(world)
      .map(({ length }) => length)
      .sort(),
    [1, 1, 2, 4],
    `${held(world)}`,
  )
  assert.ok(held(world).some((ids) => ids.length === 1 && ids[0] === culprit))
})

test('step kills a packed runner if a draining instance does not leave, and counts that instance as failed', () => {
  const world = running({ f: four })
  world.commands.set('c', { schema: 1, kind: 'killInstance', function: 'f', instance: 'f-0', restart: true })
  world.publish()
  world.tick(19_999)
  assert.deepEqual(acts(world, 'kill'), [])
  world.tick(1)
  assert.equal(acts(world, 'kill').length, 1)
  world.settle(10)
  assert.ok(all(world, 'f', 'running'))
  assert.deepEqual(restarts(world).slice(1), [0, 0, 0])
})

test('step adopts packed runners after a restart and changes nothing', () => {
  const world = running({ f: four })
  const before = held(world)
  world.restart()
  world.settle(5)
  assert.deepEqual(held(world), before)
  assert.deepEqual([acts(world, 'kill'), acts(world, 'saveEpoch')], [[], []])
})
