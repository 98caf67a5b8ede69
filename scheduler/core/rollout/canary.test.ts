import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutcomeDocument } from '../../../infra/store/index.ts'
import type { ManifestInput } from '../../../sdk/manifest/manifest.ts'
import type { World } from '../testing/world.ts'
import { begun } from '../testing/world-begun.ts'
import { failCanary } from '../testing/world-heartbeats.ts'

const bakeMs = 4000
const manifest: Omit<ManifestInput, 'name'> = {
  istreams: { in: { grouping: 'groupBy' } },
  instances: 2,
  resources: { cpus: 0.5 },
  rollout: { canary: { steps: [1, 10], bakeMs } },
}

/** The version and the canary of each assignment. */
function told(world: World): string[] {
  return [...world.runners.values()].flatMap((runner) =>
    [...runner.instances.values()].map(({ version, canary }) =>
      canary === undefined ? `v${version}` : `v${version}, v${canary.version} at step ${canary.step}`,
    ),
  )
}

const at = (world: World) => world.functions.get('fn')?.canary

test('a canary goes through its steps, each stored before a runner is told, and takes over (CY1)', () => {
  const world = begun(manifest)
  world.settle(2)
  assert.deepEqual(told(world), ['v1, v2 at step 0', 'v1, v2 at step 0'])
  assert.deepEqual([at(world)?.version, at(world)?.step], [2, 0])
  world.settle(4)
  assert.deepEqual(told(world), ['v1, v2 at step 1', 'v1, v2 at step 1'])
  assert.match(at(world)?.passed[0] ?? '', /at 1 % of the keys: 2000 records, 0 failed/)
  world.settle(12)
  assert.deepEqual(told(world), ['v2', 'v2'])
  assert.deepEqual([world.functions.get('fn')?.good, at(world)], [2, undefined])
})

/** @param quiet Whether no record comes: at each of two steps, and in the trial when it takes over. */
function settledOf(...quiet: [boolean, boolean, boolean]): Partial<OutcomeDocument> {
  const world = begun(manifest)
  const until = (isThere: () => boolean): void => {
    for (let i = 0; i < 60 && !isThere(); i++) world.settle(1)
    assert.ok(isThere())
  }
  world.isQuiet = quiet[0]
  until(() => at(world)?.step === 1)
  world.isQuiet = quiet[1]
  world.restart()
  until(() => at(world)?.promoted === true)
  world.isQuiet = quiet[2]
  until(() => world.functions.get('fn')?.good === 2)
  const settled = world.actions.findLast((action) => action.kind === 'settleVersion')
  return settled?.kind === 'settleVersion' ? settled.outcome : {}
}

test('a canary to which no record came is settled untried, also by a new leader', () => {
  const { untried, reason } = settledOf(true, true, true)
  assert.deepEqual([untried, reason], [true, 'no record of its keys came while it was a canary'])
  const later = settledOf(true, true, false) // it has passed its trial
  assert.deepEqual([later.untried, later.reason], [undefined, undefined])
  for (const [tried, quietAt] of [
    [settledOf(false, true, true), [10]],
    [settledOf(true, false, true), [1]],
    [settledOf(false, false, true), undefined],
  ] as const) {
    assert.deepEqual([tried.untried, tried.quietAt], [undefined, quietAt])
    assert.match(tried.reason ?? '', /^as a canary, at 1 % of the keys: .*; at 10 % of the keys: /)
  }
})

test('a canary that fails in one instance is removed from all, with the reason', () => {
  const world = begun(manifest)
  world.settle(2)
  const [runner] = world.runners.values()
  failCanary(runner!.instances, [...runner!.instances.keys()][0]!)
  world.settle(4)
  assert.deepEqual(told(world), ['v1', 'v1'])
  assert.deepEqual([world.functions.get('fn')?.version, at(world)], [1, undefined])
  const settled = world.actions.findLast((action) => action.kind === 'settleVersion')
  assert.ok(settled?.kind === 'settleVersion')
  assert.deepEqual([settled.outcome.version, settled.outcome.state], [2, 'failed'])
  assert.match(
    settled.outcome.reason ?? '',
    /at 1 % of the keys, after .* it ended: .*error budget spent: 0 of/,
  )
})

test('a new leader continues a canary at its step', () => {
  const world = begun(manifest)
  world.settle(6)
  const before = at(world)
  assert.equal(before?.step, 1)
  world.restart()
  world.settle(1)
  assert.deepEqual(at(world), before)
  assert.deepEqual(told(world), ['v1, v2 at step 1', 'v1, v2 at step 1'])
  world.settle(12)
  assert.deepEqual(told(world), ['v2', 'v2'])
})

test('a leader whose clock is an hour off gives a step its full time (CY3)', () => {
  for (const hourMs of [3_600_000, -3_600_000]) {
    const world = begun(manifest)
    world.settle(6)
    assert.equal(at(world)?.step, 1)
    world.nowMs += hourMs
    world.restart()
    world.settle(2)
    assert.deepEqual([at(world)?.step, at(world)?.promoted], [1, undefined])
    world.settle(12)
    assert.deepEqual(told(world), ['v2', 'v2'])
  }
})

test('a deploy ends a canary, and a rollback takes effect at once', () => {
  const world = begun(manifest)
  world.settle(2)
  world.deploy('fn', manifest)
  world.settle(2)
  assert.deepEqual(told(world), ['v1, v3 at step 0', 'v1, v3 at step 0'])
  const document = world.functions.get('fn')!
  world.functions.set('fn', { ...document, version: 2, atOnce: true })
  world.settle(6)
  assert.deepEqual(told(world), ['v2', 'v2'])
  assert.equal(world.functions.get('fn')?.good, 2)
})

test('a canary fails when its runner exceeds its memory', () => {
  const world = begun(manifest)
  world.settle(2)
  const [runner] = world.runners.values()
  world.crash(runner!, [...runner!.instances.keys()][0]!)
  world.settle(8)
  assert.deepEqual(told(world), ['v1', 'v1'])
  const settled = world.actions.findLast((action) => action.kind === 'settleVersion')
  assert.match(settled?.kind === 'settleVersion' ? (settled.outcome.reason ?? '') : '', /ended \(memory\)/)
})

test('an instance that starts during a canary has the good version, with the canary beside it', () => {
  const world = begun(manifest)
  world.settle(2)
  const [taskId] = world.runners.keys()
  world.exit(taskId!, 1)
  world.settle(3)
  assert.equal(world.runners.size, 2)
  assert.ok(
    told(world).every((text) => /^v1, v2 at step [01]$/.test(text)),
    told(world).join('; '),
  )
})
