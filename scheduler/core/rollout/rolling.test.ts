import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ManifestInput } from '../../../sdk/manifest/manifest.ts'
import type { World } from '../testing/world.ts'
import { begun } from '../testing/world-begun.ts'

const manifest = {
  istreams: { in: { grouping: 'groupBy' } },
  instances: 5,
  resources: { cpus: 0.5 },
  rollout: { rolling: 2 },
} satisfies Omit<ManifestInput, 'name'>
const packed = { ...manifest, resources: { cpus: 0.1, memMib: 64 }, instancesPerRunner: 8 }

const instancesOf = (world: World) =>
  [...world.runners.values()]
    .flatMap((runner) => [...runner.instances.values()].map((instance) => ({ runner, instance })))
    .sort((a, b) => a.instance.index - b.instance.index)

/** The version of each working instance. */
const atWork = (world: World) => instancesOf(world).map(({ instance }) => instance.version)
const rollingOf = (world: World) => world.functions.get('fn')?.rolling
const goodOf = (world: World) => world.functions.get('fn')?.good

/** Delivers assignments; swaps complete only when the test says so. */
function hear(world: World): void {
  for (let round = 0; round < 4; round++) {
    world.publish()
    for (const runner of world.runners.values()) {
      while (runner.mail.length > 0) world.readMail(runner)
      world.beat(runner)
    }
  }
}

/** The instances that were told to swap and have not yet. */
const changing = (world: World) =>
  instancesOf(world).flatMap(({ instance }) => (instance.swap?.state === 'preparing' ? [instance.index] : []))

function change(world: World, index: number, fails = false): void {
  const { runner, instance } = instancesOf(world).find((one) => one.instance.index === index)!
  world.swap(runner, instance.id, fails)
}

for (const [kind, of] of Object.entries({ alone: manifest, 'packed in one runner': packed })) {
  test(`a rolling deploy changes two instances, ${kind}, and the next two when those have passed`, () => {
    const world = begun(of)
    hear(world)
    assert.deepEqual(changing(world), [0, 1])
    assert.deepEqual([rollingOf(world)?.wave, rollingOf(world)?.indexes], [1, [0, 1]])
    change(world, 1)
    hear(world)
    assert.deepEqual(
      [changing(world), atWork(world)],
      [[0], [1, 2, 1, 1, 1]],
      'one of the wave is not there yet',
    )
    change(world, 0)
    hear(world)
    assert.deepEqual(changing(world), [2, 3])
    assert.deepEqual([rollingOf(world)?.wave, goodOf(world)], [2, 1])
    for (const index of [2, 3]) change(world, index)
    hear(world)
    assert.deepEqual(changing(world), [4])
    change(world, 4)
    hear(world)
    assert.deepEqual(atWork(world), [2, 2, 2, 2, 2])
    assert.deepEqual([goodOf(world), rollingOf(world)], [2, undefined])
  })

  test(`a version that fails in its second wave is removed from all, ${kind}, with place and reason`, () => {
    const world = begun(of)
    hear(world)
    for (const index of [0, 1]) change(world, index)
    hear(world)
    change(world, 3, true)
    world.settle(10)
    assert.deepEqual(atWork(world), [1, 1, 1, 1, 1])
    assert.deepEqual([world.functions.get('fn')?.version, rollingOf(world)], [1, undefined])
    const settled = world.actions.filter((action) => action.kind === 'settleVersion')
    assert.deepEqual(
      settled.map(({ outcome }) => [outcome.version, outcome.state]),
      [
        [1, 'live'],
        [2, 'failed'],
      ],
    )
    assert.match(settled[1]?.outcome.reason ?? '', /^in wave 2 of its rolling change, fn-3: /)
  })

  test(`a new leader continues a rolling deploy at its wave, ${kind}`, () => {
    const world = begun(of)
    hear(world)
    for (const index of [0, 1]) change(world, index)
    hear(world)
    change(world, 2)
    const before = rollingOf(world)
    world.restart()
    world.connect()
    hear(world)
    assert.deepEqual(rollingOf(world), before)
    assert.deepEqual([atWork(world), changing(world)], [[2, 2, 2, 1, 1], [3]])
    world.settle(10)
    assert.deepEqual([atWork(world), goodOf(world)], [[2, 2, 2, 2, 2], 2])
  })
}

test('the instances of a wave are stored before a seat is changed (RL1)', () => {
  const world = begun(manifest)
  world.settle(20)
  const written = new Set<number>()
  for (const action of world.actions) {
    if (action.kind === 'saveRolling') for (const index of action.rolling.indexes) written.add(index)
    if (action.kind === 'updateSeat' && action.document.version === 2)
      assert.ok(written.has(action.document.index), `${action.document.instance} came first`)
  }
  assert.equal(written.size, 5)
})

test('a rolling deploy with drain ends and relaunches two instances at a time', () => {
  const world = begun(manifest)
  world.functions.set('fn', { ...world.functions.get('fn')!, drain: true })
  let most = 0
  for (let round = 0; round < 40; round++) {
    world.settle(1)
    most = Math.max(most, 5 - instancesOf(world).length)
  }
  assert.deepEqual([atWork(world), goodOf(world)], [[2, 2, 2, 2, 2], 2])
  assert.ok(most <= 2, `${most} were away at once`)
})

test('an instance that starts or returns during a rolling deploy has the version of its wave', () => {
  const world = begun(manifest)
  hear(world)
  for (const index of [0, 1]) change(world, index)
  hear(world)
  const { runner } = instancesOf(world)[0]!
  const { document } = runner
  world.exit(document.taskId, 1)
  world.functions.set('fn', { ...world.functions.get('fn')!, instances: 6 })
  world.publish()
  world.deliverUpdate()
  world.tick(5_000)
  world.offer()
  for (const one of world.runners.values()) while (one.mail.length > 0) world.readMail(one)
  hear(world)
  assert.deepEqual(atWork(world), [2, 2, 1, 1, 1, 1])
  world.settle(20)
  assert.deepEqual([atWork(world), goodOf(world)], [[2, 2, 2, 2, 2, 2], 2])
})

test('a deploy during a rolling deploy replaces its version', () => {
  const world = begun(manifest)
  hear(world)
  for (const index of [0, 1]) change(world, index)
  hear(world)
  world.deploy('fn', manifest)
  hear(world)
  assert.deepEqual([rollingOf(world)?.version, rollingOf(world)?.indexes], [3, [0, 1]])
  world.settle(20)
  assert.deepEqual([atWork(world), goodOf(world)], [[3, 3, 3, 3, 3], 3])
})

test('no share moves between instances of two versions', () => {
  const world = begun(manifest)
  hear(world)
  for (const index of [0, 1]) change(world, index)
  hear(world)
  const from = world.actions.length
  world.functions.set('fn', { ...world.functions.get('fn')!, instances: 6 })
  world.settle(3)
  const versions = new Map([...world.seats.values()].map((seat) => [seat.instance, seat.version]))
  for (const action of world.actions.slice(from)) {
    if (action.kind === 'createSeat' || action.kind === 'updateSeat')
      versions.set(action.document.instance, action.document.version)
    if (action.kind !== 'updateSeat') continue
    for (const { instance } of action.document.awaited ?? [])
      assert.equal(
        versions.get(instance),
        action.document.version,
        `${action.document.instance} from ${instance}`,
      )
  }
  world.settle(30)
  assert.deepEqual([atWork(world), goodOf(world)], [[2, 2, 2, 2, 2, 2], 2])
})

test('no share moves before a version with another state format is everywhere, whatever is scaled, ended or taken over', () => {
  const homes = (world: World) =>
    [...world.seats.values()]
      .flatMap(({ index, shares }) => shares.map((share) => `${share}:${index}`))
      .sort()
  const world = begun(manifest, manifest, { migrates: true })
  const before = homes(world)
  hear(world)
  for (const index of [0, 1]) change(world, index)
  hear(world)
  assert.deepEqual(changing(world), [2, 3])
  for (const instances of [2, 7]) {
    world.functions.set('fn', { ...world.functions.get('fn')!, instances })
    hear(world)
    for (const index of [0, 4])
      world.exit(instancesOf(world).find((one) => one.instance.index === index)!.runner.document.taskId, 1)
    world.restart()
    world.connect()
    while (world.updates.length > 0) world.deliverUpdate()
    world.tick(5_000)
    world.offer()
    hear(world)
    assert.deepEqual([homes(world), changing(world)], [before, [2, 3]])
  }
  world.settle(60)
  assert.deepEqual([atWork(world), goodOf(world)], [[2, 2, 2, 2, 2, 2, 2], 2])
  assert.notDeepEqual(homes(world), before, 'and then they are spread')
})

test('a wave waits until no share is being handed over (RL3)', () => {
  const world = begun(manifest)
  world.functions.set('fn', { ...world.functions.get('fn')!, version: 1 })
  world.settle(5)
  const { rolling: _, ...before } = world.functions.get('fn')!
  world.functions.set('fn', { ...before, instances: 6 })
  world.publish()
  while (![...world.seats.values()].some(({ awaited = [] }) => awaited.length > 0)) {
    world.offer()
    while (world.updates.length > 0) world.deliverUpdate()
    hear(world)
    world.tick(1_000)
  }
  world.functions.set('fn', { ...world.functions.get('fn')!, version: 2 })
  hear(world)
  assert.equal(rollingOf(world), undefined)
  world.settle(40)
  assert.deepEqual([atWork(world), goodOf(world)], [[2, 2, 2, 2, 2, 2], 2])
})

test('an instance that stops for good fails its version, whatever the reason and whoever leads', () => {
  for (let diesAfter = 0; diesAfter < 10; diesAfter++) {
    const world = begun({ ...manifest, restarts: 0 })
    hear(world)
    const { runner } = instancesOf(world)[0]!
    change(world, 0)
    world.beat(runner)
    world.exit(runner.document.taskId, 139)
    world.diesAfter = diesAfter
    world.deliverUpdate()
    for (let round = 0; round < 30; round++) world.settle(1)
    assert.deepEqual([atWork(world), goodOf(world)], [[1, 1, 1, 1, 1], 1], `dies after ${diesAfter}`)
    const settled = world.actions.findLast((action) => action.kind === 'settleVersion')
    assert.match(settled?.outcome.reason ?? '', /^in wave 1 .* fn-0 is not launched again/)
  }
})
