import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ManifestInput } from '../../../sdk/manifest/manifest.ts'
import { World } from '../testing/world.ts'
import { begun } from '../testing/world-begun.ts'

const of = (cpus: number, more: Omit<ManifestInput, 'name'> = {}): Omit<ManifestInput, 'name'> => ({
  istreams: { in: { grouping: 'groupBy' } },
  instances: 2,
  resources: { cpus },
  ...more,
})

const instancesOf = (world: World) =>
  [...world.runners.values()].flatMap((one) => [...one.instances.values()])
const shown = (world: World) =>
  instancesOf(world)
    .map(({ id, version, owns }) => `${id} v${version} ${owns.size}`)
    .sort()

/** The ended instances that had shares when they were told to end. */
function endedWithShares(world: World): string[] {
  const shares = new Map<string, number>()
  const ended: string[] = []
  for (const action of world.actions) {
    if (action.kind === 'createSeat' || action.kind === 'updateSeat')
      shares.set(action.document.taskId, action.document.shares.length)
    if (action.kind === 'kill' && (shares.get(action.taskId) ?? 0) > 0) ended.push(action.taskId)
  }
  return ended
}

test('instances that get more resources are replaced by others beside them, which take their shares first', () => {
  const world = begun(of(0.5), of(1))
  world.settle(1)
  assert.deepEqual(shown(world).slice(0, 2), ['fn-0 v1 8', 'fn-1 v1 8'])
  world.settle(20)
  assert.deepEqual(shown(world), ['fn-2 v2 8', 'fn-3 v2 8'])
  assert.deepEqual(endedWithShares(world), [])
  assert.deepEqual([world.functions.get('fn')?.good, world.functions.get('fn')?.instances], [2, 2])
  const resources = [...world.seats.values()].map((seat) => seat.resources.cpus)
  assert.deepEqual(resources, [1, 1])
  world.deploy('fn', of(2))
  world.settle(20)
  assert.deepEqual(shown(world), ['fn-0 v3 8', 'fn-1 v3 8'], 'and back')
})

test('instances that get fewer resources are replaced if the code is the same, and swapped in place otherwise', () => {
  const before = begun(of(1), of(1))
  before.settle(20)
  before.deploy('fn', of(0.5), { sameCode: true })
  before.settle(20)
  assert.deepEqual(shown(before), ['fn-2 v3 8', 'fn-3 v3 8'])
  assert.deepEqual(
    [...before.seats.values()].map((seat) => seat.resources.cpus),
    [0.5, 0.5],
  )
  assert.deepEqual(endedWithShares(before), [])
  before.deploy('fn', of(0.25))
  before.settle(20)
  assert.deepEqual(shown(before), ['fn-2 v4 8', 'fn-3 v4 8'])
})

test('the status explains both instances while one takes over from the other', () => {
  const world = begun(of(0.5), of(1))
  world.publish()
  const whys = [...(world.statuses.get('fn')?.instances ?? [])].map(({ id, state, why }) => [id, state, why])
  const replaced =
    'it works on until version 2, which is to take its partitions over, has room: it waits for an offer'
  assert.deepEqual(whys, [
    ['fn-0', 'running', replaced],
    ['fn-1', 'running', replaced],
    ['fn-2', 'waiting', 'it waits for an offer'],
    ['fn-3', 'waiting', 'it waits for an offer'],
  ])
})

test('old instances are ended first if there is no room beside them', () => {
  const world = begun(of(1.5), of(2), { agents: 1 })
  world.settle(15)
  assert.deepEqual(shown(world), ['fn-0 v1 8', 'fn-1 v1 8'], 'it waits for room')
  world.settle(30)
  assert.deepEqual(
    instancesOf(world).map(({ version }) => version),
    [2, 2],
  )
  assert.equal(endedWithShares(world).length, 2)
})

test('a version that found no room beside the old one looks for room again after a rollback to it', () => {
  const world = begun(of(1.5), of(2), { agents: 1 })
  world.settle(45)
  assert.deepEqual(world.functions.get('fn')?.good, 2)
  assert.equal(world.state.functions.get('fn')?.crowded, 2)
  const ended = endedWithShares(world).length
  world.agents.set('agent-9', { cpus: 4, memMib: 4096, diskMib: 4096 })
  world.deploy('fn', of(0.5), { sameCode: true })
  world.settle(45)
  assert.equal(world.functions.get('fn')?.good, 3)
  assert.equal(world.state.functions.get('fn')?.crowded, undefined)
  world.functions.set('fn', { ...world.functions.get('fn')!, version: 2 })
  world.publish()
  world.settle(45)
  assert.deepEqual(
    instancesOf(world).map(({ version, owns }) => `v${version} ${owns.size}`),
    ['v2 8', 'v2 8'],
  )
  assert.equal(endedWithShares(world).length, ended, 'there is room now: nobody is ended first')
})

test('instances that no agent can hold wait, and the old ones continue and say why (BE4)', () => {
  const asked: readonly Omit<ManifestInput, 'name'>[] = [
    of(1, { resources: { cpus: 1, memMib: 999_999 } }),
    of(1, { placement: { constraints: ['zone == nowhere'] } }),
    of(3), // only one of two would fit
  ]
  for (const after of asked) {
    const world = begun(of(1.5), after, { agents: 1 })
    world.settle(60)
    assert.deepEqual(shown(world), ['fn-0 v1 8', 'fn-1 v1 8'])
    assert.deepEqual(endedWithShares(world), [])
    world.deploy('fn', of(1.5))
    world.settle(30)
    assert.deepEqual(
      instancesOf(world).map(({ version }) => version),
      [3, 3],
    )
  }
})

test('new instances that never start change nothing', () => {
  const world = begun(of(0.5), of(1, { instancesPerRunner: 2 }))
  for (let round = 0; round < 20; round++) {
    world.publish()
    while (world.updates.length > 0) world.deliverUpdate()
    world.offer()
    for (const runner of world.runners.values()) {
      while (runner.mail.length > 0) world.readMail(runner)
      for (const { id, version } of [...runner.instances.values()]) if (version === 2) world.fail(runner, id)
      world.beat(runner)
    }
    world.tick(1_000)
  }
  assert.ok(
    world.actions.some((action) => action.kind === 'log' && action.message.includes('functionFailed')),
  )
  world.settle(20)
  assert.deepEqual(shown(world), ['fn-0 v1 8', 'fn-1 v1 8'])
  assert.equal(world.functions.get('fn')?.version, 1)
  assert.deepEqual(endedWithShares(world), [])
})

test('a leader that takes over in the middle continues', () => {
  for (let when = 0; when < 40; when++) {
    const world = begun(of(0.5), of(1))
    let at = 0
    const then = (act: () => void): void => {
      if (at++ === when) {
        world.restart()
        world.connect()
      }
      act()
    }
    for (let round = 0; round < 4; round++) {
      then(() => world.publish())
      while (world.updates.length > 0) then(() => world.deliverUpdate())
      then(() => world.offer())
      for (const runner of [...world.runners.values()]) {
        while (runner.mail.length > 0) then(() => world.readMail(runner))
        then(() => world.ask(runner))
        then(() => world.beat(runner))
      }
      world.tick(1_000)
    }
    world.settle(25)
    assert.deepEqual(
      [
        world.functions.get('fn')?.good,
        ...instancesOf(world).map(({ version, owns }) => `v${version} ${owns.size}`),
      ],
      [2, 'v2 8', 'v2 8'],
      `another leader at ${when}`,
    )
    assert.deepEqual(endedWithShares(world), [], `another leader at ${when}`)
  }
})

test('a function with a broadcast input is drained first, as with --drain', () => {
  const istreams = { in: { grouping: 'groupBy' as const }, all: { grouping: 'broadcast' as const } }
  const broadcast = begun(of(0.5, { istreams }), of(1, { istreams }))
  broadcast.settle(20)
  assert.deepEqual([...broadcast.seats.keys()].sort(), ['fn-0', 'fn-1'])
  const drained = begun(of(0.5), of(1))
  drained.functions.set('fn', { ...drained.functions.get('fn')!, drain: true })
  drained.settle(20)
  assert.deepEqual([...drained.seats.values()].map((seat) => [seat.instance, seat.version]).sort(), [
    ['fn-0', 2],
    ['fn-1', 2],
  ])
})

/** Delivers assignments and reports them. @param asks Each runner also takes one share that it was promised. */
function hear(world: World, rounds: number, asks = false): void {
  for (let i = 0; i < rounds; i++) {
    world.publish()
    while (world.updates.length > 0) world.deliverUpdate()
    world.offer()
    for (const runner of [...world.runners.values()]) {
      while (runner.mail.length > 0) world.readMail(runner)
      if (asks) world.ask(runner)
      world.beat(runner)
      if (runner.killed) world.exit(runner.document.taskId, 0)
    }
    world.tick(1_000)
  }
}

for (const [kind, more] of Object.entries({ alone: {}, 'packed in one runner': { instancesPerRunner: 8 } }))
  test(`a third version deployed while shares move takes over afterwards, ${kind}`, () => {
    const world = begun(of(0.1, more), of(0.08, more))
    world.settle(20)
    world.deploy('fn', of(0.07, more), { sameCode: true })
    hear(world, 5)
    hear(world, 3, true)
    const versions = (): number[] => [...new Set(instancesOf(world).map(({ version }) => version))].sort()
    assert.deepEqual(versions(), [2, 3])
    world.deploy('fn', of(0.06, more), { sameCode: true })
    hear(world, 2, true)
    assert.deepEqual(versions(), [2, 3, 4])
    world.settle(40)
    assert.deepEqual(
      instancesOf(world).map(({ version, owns }) => `v${version} ${owns.size}`),
      ['v4 8', 'v4 8'],
    )
    assert.deepEqual(endedWithShares(world), [])
  })

/** The instances that an instance of a later version promised a share to. */
function wentBack(world: World): string[] {
  const versions = new Map<string, number>()
  const found: string[] = []
  for (const action of world.actions) {
    if (action.kind !== 'createSeat' && action.kind !== 'updateSeat') continue
    const { instance, version, awaited = [] } = action.document
    versions.set(instance, version)
    for (const { instance: giver } of awaited)
      if ((versions.get(giver) ?? 0) > version) found.push(`${instance} v${version} from ${giver}`)
  }
  return found
}

test('no share returns to an instance of an earlier version when a third version comes in the middle', () => {
  const world = begun(of(0.1), of(0.2))
  hear(world, 5)
  hear(world, 3, true)
  world.deploy('fn', of(0.3))
  hear(world, 6, true)
  world.settle(40)
  assert.deepEqual(shown(world), ['fn-4 v3 8', 'fn-5 v3 8'])
  assert.deepEqual(wentBack(world), [])
})

test('what an agent had free before it was last seen long ago is no room for the new ones (BE4)', () => {
  const world = new World(1)
  world.agents.set('agent-0', { cpus: 3, memMib: 4096, diskMib: 4096 })
  world.agents.set('agent-9', { cpus: 4, memMib: 4096, diskMib: 4096 })
  world.connect()
  world.deploy('fn', of(2, { instances: 1 }))
  world.settle(10)
  assert.deepEqual(
    [...world.tasks.values()].map(({ agentId }) => agentId),
    ['agent-0'],
  )
  world.agents.delete('agent-9')
  world.settle(300)
  world.deploy('fn', of(3.5, { instances: 1 }))
  world.settle(60)
  assert.deepEqual(endedWithShares(world), [])
  assert.deepEqual(shown(world), ['fn-0 v1 16'])
})

test('a deploy that also adds instances moves nothing until all new ones work (BE1)', () => {
  const world = begun(of(1), of(2, { instances: 3 }), { agents: 1 })
  hear(world, 15, true)
  const shares = [...world.seats.values()].map(({ instance, shares, awaited = [] }) => [
    instance,
    shares.length + awaited.length > 0,
  ])
  assert.deepEqual(shares.sort(), [
    ['fn-0', true],
    ['fn-1', true],
    ['fn-2', false],
  ])
  world.agents.set('agent-9', { cpus: 4, memMib: 4096, diskMib: 4096 })
  world.settle(20)
  assert.deepEqual(shown(world), ['fn-2 v2 6', 'fn-3 v2 5', 'fn-4 v2 5'])
  assert.deepEqual(endedWithShares(world), [])
})

test('no instance is ended to make room while the cluster is away, or shortly after', () => {
  const packed = { instancesPerRunner: 4 }
  const world = begun(of(0.5, packed), of(2, packed))
  world.disconnect()
  hear(world, 40)
  assert.deepEqual(shown(world), ['fn-0 v1 8', 'fn-1 v1 8'])
  world.connect()
  hear(world, 1)
  assert.deepEqual(endedWithShares(world), [])
  world.settle(20)
  assert.deepEqual(shown(world), ['fn-2 v2 8', 'fn-3 v2 8'])
})

test('replacements never make less important instances give way', () => {
  const world = new World(1)
  world.connect()
  world.deploy('low', of(1))
  world.deploy('fn', of(0.75, { placement: { priority: 5 } }))
  world.settle(20)
  world.deploy('fn', of(1, { placement: { priority: 5 } }))
  world.settle(60)
  assert.deepEqual(shown(world), ['fn-0 v2 8', 'fn-1 v2 8', 'low-0 v1 8', 'low-1 v1 8'])
  const gone = world.actions.flatMap((action) => (action.kind === 'kill' ? [action.taskId] : []))
  assert.deepEqual(
    gone.filter((id) => id.includes('low')),
    [],
  )
})

test('a new instance that ends while shares move is launched again, and its shares do not return to an old one (BE2)', () => {
  for (const restarts of [false, true]) {
    const world = begun(of(0.1), of(0.2))
    world.settle(20)
    world.deploy('fn', of(0.3))
    hear(world, 5)
    const runnerOf = (id: string) => [...world.runners.values()].find((one) => one.instances.has(id))!
    world.ask(runnerOf('fn-1'))
    for (let round = 0; round < 20; round++) {
      world.ask(runnerOf('fn-0'))
      hear(world, 1)
    }
    assert.deepEqual(shown(world), ['fn-0 v3 8', 'fn-1 v3 1', 'fn-3 v2 7'])
    world.exit(runnerOf('fn-1').document.taskId, 1)
    if (restarts) {
      world.restart()
      world.connect()
    }
    hear(world, 2)
    assert.equal(world.seats.get('fn-3')?.shares.length, 7, 'what v3 has had is not given to v2')
    for (let round = 0; round < 30; round++) world.settle(1)
    assert.deepEqual(shown(world), ['fn-0 v3 8', 'fn-1 v3 8'])
  }
})

test('a last new instance that ends before it took a share leaves the old one working', () => {
  const world = begun(of(0.1, { instances: 1 }), of(0.2, { instances: 1 }))
  hear(world, 5)
  assert.equal(world.functions.get('fn')?.good, 2)
  world.exit([...world.runners.values()].at(-1)!.document.taskId, 1)
  hear(world, 1)
  assert.deepEqual(shown(world), ['fn-0 v1 16'])
  world.settle(20)
  assert.deepEqual(shown(world), ['fn-1 v2 16'])
  assert.deepEqual(endedWithShares(world), [])
})

test('an old instance stays while its shares move, however slowly', () => {
  const world = begun(of(0.1), of(0.2))
  for (let share = 0; share < 8; share++) {
    hear(world, 6)
    hear(world, 1, true)
  }
  hear(world, 2)
  assert.deepEqual(shown(world), ['fn-2 v2 8', 'fn-3 v2 8'])
  assert.deepEqual(endedWithShares(world), [])
})
