/** Versions in whose place another one was wanted, over HTTP: how they are left, and which one a rollback goes to. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type FunctionDocument,
  type InstanceStatus,
  type OutcomeDocument,
  outcomeAfter,
  paths,
  type StatusDocument,
  upsert,
} from '../../infra/store/index.ts'
import type { DeployAnswer, FunctionSummary, Problem, VersionSummary, Why } from '../../sdk/api/index.ts'
import { namespace, type Platform, startPlatform, until } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

async function deploy(manifest: object = {}, name = 'tried', more = ''): Promise<DeployAnswer> {
  const bundle = `export default { metadata: { name: '${name}', istreams: { words: 'groupBy' } }, processRecord() {}${more} }`
  const body = new FormData()
  body.set('manifest', JSON.stringify(manifest))
  body.set('bundle', new Blob([bundle]), 'bundle.js')
  const answer = await platform.call('POST', '/v1/functions', { body })
  assert.equal(answer.status, 200)
  return (await answer.json()) as DeployAnswer
}

const path = paths.function(namespace, 'tried')

async function versions(): Promise<VersionSummary[]> {
  const answer = await platform.call('GET', '/v1/functions/tried/versions')
  return ((await answer.json()) as { versions: VersionSummary[] }).versions
}

const states = async () => (await versions()).map(({ state, reason }) => [state, reason])

async function rollback(wish: object = {}): Promise<DeployAnswer & Problem> {
  const answer = await platform.call('POST', '/v1/functions/tried/rollback', { body: JSON.stringify(wish) })
  return (await answer.json()) as DeployAnswer & Problem
}

test('A canary, a version that rolls, or one that ran in a part of its instances, that is rolled back, or deployed over, keeps how far it had come; nobody goes back to it', async () => {
  /** What the scheduler writes when v1 works and the wanted version has a part of the keys. */
  const begin = async (version: number) => {
    const { value, version: at } = (await platform.store.get<FunctionDocument>(path))!
    const canary = { version, step: 1, sinceMs: 0, passed: ['at 1 % of the keys: well'] }
    await platform.store.update(path, { ...value, good: 1, canary }, at)
  }
  await deploy()
  await deploy({ env: { A: '2' }, rollout: { canary: { steps: [1, 10] } } })
  await begin(2)
  const summaries = await (await platform.call('GET', '/v1/functions')).json()
  const [{ version, live, canaryPercent }] = (summaries as { functions: [FunctionSummary] }).functions
  assert.deepEqual([version, live, canaryPercent], [2, 1, 10])
  const how = 'was a canary, at step 2; at 1 % of the keys: well'
  assert.deepEqual((await rollback()).left, { version: 2, how })
  const second = ['rolledBack', `v1 was wanted again while it ${how}`]
  assert.deepEqual(await states(), [second, ['live', undefined]])

  await deploy({ env: { A: '3' } })
  await begin(3)
  assert.deepEqual((await deploy({ env: { A: '4' } })).left, { version: 3, how })
  const third = ['withdrawn', `v4 was wanted while it ${how}`]
  assert.deepEqual(await states(), [['rollingOut', undefined], third, second, ['live', undefined]])

  const { value, version: at } = (await platform.store.get<FunctionDocument>(path))!
  const rolling = { version: 4, wave: 2, indexes: [0, 1], sinceMs: 0 }
  await platform.store.update(path, { ...value, rolling }, at)
  await rollback()
  const fourth = [
    'rolledBack',
    'v1 was wanted again while it came to one instance after the other, in wave 2',
  ]
  assert.deepEqual((await states())[0], fourth)

  await deploy({ env: { A: '5' }, instances: 3 })
  const one = { index: 0, epoch: 1, version: 5 }
  await platform.store.create(paths.status(namespace, 'tried'), {
    ...{ schema: 1, function: 'tried', version: 5 },
    ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] },
    instances: [
      { ...one, id: 'tried-0', state: 'running' },
      { ...one, id: 'tried-1', state: 'waiting' },
    ],
  })
  await rollback()
  assert.deepEqual((await states())[0], [
    'rolledBack',
    'v1 was wanted again while it ran in 1 of 3 instances',
  ])
})

test('A first version whose instances fail at their start is said not to start', async () => {
  await deploy({}, 'broken')
  const one = { id: 'broken-0', index: 0, epoch: 3, version: 1, generation: 1, generationSeen: 0, since: 0 }
  const lastExit = { code: 11, reason: 'initFailed', message: 'init threw', atMs: 5 }
  await platform.store.create(paths.status(namespace, 'broken'), {
    ...{ schema: 1, function: 'broken', version: 1 },
    ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] },
    instances: [{ ...one, state: 'backingOff', restarts: 2, lastExit }],
  })
  const answer = await platform.call('GET', '/v1/functions/broken/versions')
  const { versions: list } = (await answer.json()) as { versions: VersionSummary[] }
  assert.deepEqual(
    list.map(({ state, notStarting }) => [state, notStarting]),
    [['rollingOut', 'broken-0 has failed 2 times in a row, last: initFailed: init threw']],
  )
})

test('Deploy of a migrate warns that a rollback discards its state, and the rollback says so', async () => {
  const at = paths.function(namespace, 'moved')
  assert.equal((await deploy({}, 'moved')).migrates, undefined)
  const second = await deploy({ rollout: { canary: {} } }, 'moved', ', migrate(value) { return value }')
  assert.equal(second.migrates, true)
  const { value, version } = (await platform.store.get<FunctionDocument>(at))!
  const canary = { version: 2, step: 0, sinceMs: 0, passed: [] }
  await platform.store.update(at, { ...value, good: 1, canary }, version)
  const answer = await platform.call('POST', '/v1/functions/moved/rollback', { body: '{}' })
  const { left } = (await answer.json()) as DeployAnswer
  assert.equal(left?.how, 'was a canary, at step 1, and what it did to state goes with it')
})

test('A rollback skips versions that were rolled back or failed, and records who, when and why', async () => {
  const base = (await versions())[0]!.version
  const [first, second, third, fourth] = [1, 2, 3, 4].map((n) => base + n) as [number, number, number, number]
  const deployNext = async () =>
    (await deploy({ env: { B: String((await versions())[0]!.version) } })).version
  /** What the scheduler writes of the version that is wanted. */
  const settle = async (state: 'live' | 'failed', reason?: string) => {
    const { value } = (await platform.store.get<FunctionDocument>(path))!
    const { version, good } = value
    const outcome = {
      schema: 1,
      version,
      state,
      atMs: 5,
      ...(reason === undefined ? {} : { reason }),
    } as const
    await upsert<OutcomeDocument>(platform.store, paths.outcome(namespace, 'tried', version), (before) =>
      outcomeAfter(before, outcome),
    )
    const next = state === 'live' ? version : good!
    await upsert<FunctionDocument>(platform.store, path, (now) => ({ ...now!, version: next, good: next }))
  }
  const state = async (version: number) => (await versions()).find((one) => one.version === version)!

  assert.equal(await deployNext(), first)
  await settle('live')
  assert.equal(await deployNext(), second)
  await settle('live')
  const back = await rollback({ author: 'ada', message: 'too many alarms' })
  assert.deepEqual([back.version, back.left], [first, undefined])
  await settle('live')
  const left = await state(second)
  assert.deepEqual(
    [left.state, left.by, left.reason],
    ['rolledBack', 'ada', `v${first} was wanted again: too many alarms`],
  )
  assert.ok(left.outcomeAtMs! > 5)

  assert.equal(await deployNext(), third)
  await settle('failed', 'it threw')
  assert.equal(await deployNext(), fourth)
  await settle('live')
  assert.equal(
    (await rollback()).version,
    first,
    'not the one that was gone back from, nor the one that failed',
  )
  await settle('live')

  await rollback({ to: third })
  assert.deepEqual((await state(third)).failed, { atMs: 5, reason: 'it threw' }, 'and it is tried again')
  await settle('live')
  assert.deepEqual([(await state(third)).state, (await state(third)).failed?.reason], ['live', 'it threw'])
  assert.equal(await deployNext(), fourth + 1)
  await settle('live')
  const failed = await state(third)
  assert.deepEqual([failed.state, failed.reason, failed.outcomeAtMs], ['failed', 'it threw', 5])
  assert.equal((await rollback()).version, first)
})

test('A version wanted again before its replacement worked is live, and a later rollback may go to it (LV2)', async () => {
  const name = 'again'
  const at = paths.function(namespace, name)
  const settle = (version: number) =>
    upsert<FunctionDocument>(platform.store, at, (now) => ({ ...now!, good: version }))
  const back = async (wish: object) => {
    const body = JSON.stringify(wish)
    const answer = await platform.call('POST', `/v1/functions/${name}/rollback`, { body })
    return ((await answer.json()) as DeployAnswer).version
  }
  await deploy({}, name)
  await settle(1)
  await deploy({ env: { A: '2' } }, name)
  await settle(2)
  assert.equal(await back({ to: 1 }), 1)
  assert.equal(await back({ to: 2 }), 2)
  await deploy({ env: { A: '3' } }, name)
  await settle(3)
  assert.equal(await back({}), 2)
})

test('The reasons of a function that fails name the version that a rollback goes to, if one was good before', async () => {
  const name = 'failing'
  const at = paths.status(namespace, name)
  const one = {
    ...{ id: `${name}-0`, index: 0, epoch: 1, generation: 1, generationSeen: 1, since: 1 },
    state: 'backingOff' as const,
    ...{ restarts: 6, lastExit: { code: 10, reason: 'functionFailed', message: 'boom', atMs: 1 } },
  }
  const begin = async (version: number): Promise<void> => {
    await deploy({ env: { A: `${version}` } }, name)
    await upsert<FunctionDocument>(platform.store, paths.function(namespace, name), (now) => ({
      ...now!,
      good: version,
    }))
    const live = { schema: 1, version, state: 'live', atMs: 5 } as const
    await upsert<OutcomeDocument>(platform.store, paths.outcome(namespace, name, version), (before) =>
      outcomeAfter(before, live),
    )
    const ended = { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] }
    await upsert<StatusDocument>(platform.store, at, () => ({
      ...{ schema: 1, function: name, version, ended, instances: [{ ...one, version }] },
    }))
  }
  const rollbackTo = async (): Promise<number | undefined> =>
    ((await (await platform.call('GET', `/v1/functions/${name}/why`)).json()) as Why).rollbackTo
  await begin(1)
  assert.equal(await rollbackTo(), undefined, 'there is none before')
  await begin(2)
  await until('the gateway has seen it', async () => (await rollbackTo()) === 1)
  const becomes = (instance: Partial<InstanceStatus>) =>
    upsert<StatusDocument>(platform.store, at, (now) => ({
      ...now!,
      instances: [{ ...one, version: 2, ...instance }],
    }))
  await becomes({ state: 'running' })
  await until('it works again', async () => (await rollbackTo()) === undefined)
  await becomes({})
  await until('it fails again', async () => (await rollbackTo()) === 1)
  const drained = { code: 0, reason: 'drained', message: 'its agent is drained', atMs: 2 }
  await becomes({ state: 'waiting', lastExit: drained })
  await until('the code is not to blame for its last end', async () => (await rollbackTo()) === undefined)
})

test('A rollback without a target says which versions there are', async () => {
  await deploy({}, 'alone')
  const only = await platform.call('POST', '/v1/functions/alone/rollback', { body: '{}' })
  const { code, detail } = (await only.json()) as Problem
  assert.equal(code, 'ERR_VERSION_UNKNOWN')
  assert.match(detail, /before v1 there is no version that has run and was kept\. /)
  await deploy({ env: { A: '2' } }, 'alone')
  const never = await platform.call('POST', '/v1/functions/alone/rollback', { body: '{}' })
  assert.match(
    ((await never.json()) as Problem).detail,
    /was kept \(v1 never ran; --to goes there all the same\)/,
  )
})
