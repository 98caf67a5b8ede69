import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ManifestInput } from '../../../sdk/manifest/manifest.ts'
import type { World } from '../testing/world.ts'
import { begun } from '../testing/world-begun.ts'
import { failShadow } from '../testing/world-heartbeats.ts'

const bakeMs = 4000
const plain: Omit<ManifestInput, 'name'> = {
  istreams: { in: { grouping: 'groupBy' } },
  instances: 2,
  resources: { cpus: 0.5 },
}
const manifest = { ...plain, rollout: { shadow: { bakeMs } } }

/** The version and the shadow of each assignment. */
function told(world: World): string[] {
  return [...world.runners.values()].flatMap((runner) =>
    [...runner.instances.values()].map(({ version, shadow }) =>
      shadow === undefined ? `v${version}` : `v${version}, v${shadow.version} as a shadow`,
    ),
  )
}

function lastOutcome(world: World, kind: 'settleVersion' | 'saveOutcome') {
  const action = world.actions.findLast((one) => one.kind === kind)
  return action?.kind === kind ? action.outcome : undefined
}

test('a shadow runs beside all instances for its time; then the good version is wanted again, with a report', () => {
  const world = begun(manifest)
  world.settle(2)
  assert.deepEqual(told(world), ['v1, v2 as a shadow', 'v1, v2 as a shadow'])
  assert.equal(world.functions.get('fn')?.shadow?.version, 2)
  world.settle(6)
  assert.deepEqual(told(world), ['v1', 'v1'])
  const { version, good, shadow } = world.functions.get('fn')!
  assert.deepEqual([version, good, shadow], [1, 1, undefined])
  const outcome = lastOutcome(world, 'settleVersion')
  assert.deepEqual([outcome?.version, outcome?.state, outcome?.from], [2, 'shadowed', 1])
  assert.match(
    outcome?.reason ?? '',
    /^180 records compared, 6 differ \(match 96\.67 %\).*20 of 200 were not compared$/,
  )
  const { instances, instancesOf, evidence } = outcome!.shadow!
  assert.deepEqual([instances, instancesOf, evidence.missed.behind], [2, 2, 20])
})

test('a function with ports can have a shadow: the ports that it has count', () => {
  const world = begun({ ...manifest, resources: { cpus: 0.5, ports: 1 } })
  world.settle(2)
  assert.deepEqual(told(world), ['v1, v2 as a shadow', 'v1, v2 as a shadow'])
})

test('a shadow that ends in one instance has failed, with the reason', () => {
  const world = begun(manifest)
  world.settle(2)
  const [runner] = world.runners.values()
  failShadow(runner!.instances, [...runner!.instances.keys()][0]!)
  world.settle(2)
  assert.deepEqual(told(world), ['v1', 'v1'])
  const outcome = lastOutcome(world, 'settleVersion')
  assert.equal(outcome?.state, 'failed')
  assert.match(outcome?.reason ?? '', /^as a shadow: it was too large \(180 records compared/)
})

test('a shadow fails when its runner exceeds its memory', () => {
  const world = begun(manifest)
  world.settle(2)
  const [runner] = world.runners.values()
  world.crash(runner!, [...runner!.instances.keys()][0]!)
  world.settle(8)
  assert.deepEqual(told(world), ['v1', 'v1'])
  assert.match(lastOutcome(world, 'settleVersion')?.reason ?? '', /ended \(memory\)/)
})

test('a version that cannot run beside the one in force does not replace it', () => {
  const world = begun(manifest, { ...manifest, limits: { stateMib: 128 } })
  world.settle(6)
  assert.deepEqual(told(world), ['v1', 'v1'])
  assert.match(
    lastOutcome(world, 'settleVersion')?.reason ?? '',
    /cannot be beside version 1: limits\.stateMib has changed/,
  )
})

test('a promoted shadow becomes live and keeps its findings', () => {
  const world = begun(manifest)
  world.settle(2)
  const document = world.functions.get('fn')!
  world.functions.set('fn', { ...document, shadow: { ...document.shadow!, promoted: true } })
  world.settle(8)
  assert.deepEqual(told(world), ['v2', 'v2'])
  assert.equal(world.functions.get('fn')?.good, 2)
  assert.equal(lastOutcome(world, 'saveOutcome')?.shadow?.evidence.compared, 180)
  assert.deepEqual([lastOutcome(world, 'settleVersion')?.state], ['live'])
})

test('a shadow with canary rules becomes a canary when it is promoted', () => {
  const world = begun(manifest, {
    ...plain,
    rollout: { shadow: { bakeMs }, canary: { steps: [10], bakeMs: 60_000 } },
  })
  world.settle(2)
  const document = world.functions.get('fn')!
  assert.equal(document.canary, undefined)
  world.functions.set('fn', { ...document, shadow: { ...document.shadow!, promoted: true } })
  world.settle(2)
  assert.equal(world.functions.get('fn')?.canary?.version, 2)
  assert.deepEqual(told(world), ['v1', 'v1'])
})

test('a shadow with canary and rolling rules rolls after its canary when it is promoted', () => {
  const rollout = { shadow: { bakeMs }, canary: { steps: [10], bakeMs: 60_000 }, rolling: 1 }
  const world = begun(manifest, { ...plain, rollout })
  world.settle(2)
  const document = world.functions.get('fn')!
  assert.deepEqual([told(world)[0], document.rolling], ['v1, v2 as a shadow', undefined])
  world.functions.set('fn', { ...document, shadow: { ...document.shadow!, promoted: true } })
  world.settle(2)
  const { canary, rolling } = world.functions.get('fn')!
  assert.deepEqual([canary?.version, rolling], [2, undefined])
  world.functions.set('fn', { ...world.functions.get('fn')!, canary: { ...canary!, promoted: true } })
  world.publish()
  assert.deepEqual(world.functions.get('fn')?.rolling?.indexes, [0])
  assert.deepEqual([...world.seats.values()].map(({ version }) => version).sort(), [1, 1])
  world.settle(8)
  assert.deepEqual([told(world), world.functions.get('fn')?.good], [['v2', 'v2'], 2])
  const waves = world.actions.flatMap((action) =>
    action.kind === 'saveRolling' ? [action.rolling.indexes] : [],
  )
  assert.deepEqual(waves, [[0], [0, 1]])
})

test('a deploy ends a shadow, and a new leader continues one', () => {
  const world = begun(manifest)
  world.settle(2)
  const before = world.functions.get('fn')?.shadow
  world.restart()
  world.settle(1)
  assert.deepEqual(world.functions.get('fn')?.shadow, before)
  assert.deepEqual(told(world), ['v1, v2 as a shadow', 'v1, v2 as a shadow'])
  world.deploy('fn', plain)
  world.settle(8)
  assert.deepEqual(told(world), ['v3', 'v3'])
  assert.deepEqual(
    [lastOutcome(world, 'saveOutcome')?.version, lastOutcome(world, 'saveOutcome')?.state],
    [2, 'shadowed'],
  )
})
