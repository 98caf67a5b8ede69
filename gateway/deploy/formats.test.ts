import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FunctionDocument, type OutcomeDocument, paths } from '../../infra/store/index.ts'
import type { DeployAnswer, Problem } from '../../sdk/api/index.ts'
import { namespace, startPlatform } from '../testing/platform.ts'
import { checkFormat, checkRollout, migratesAfter } from './formats.ts'

const fn = { name: 'totals' }

test('checkFormat refuses a version from before a live migration', () => {
  assert.throws(
    () => checkFormat(fn, 3, { version: 1 }, false),
    /Cannot make v1 of 'totals' live: it cannot read the state, which v3 has migrated/,
  )
  assert.throws(() => checkFormat(fn, 3, { version: 2, stateFormat: 2, migrates: true }, false), /v2/)
  checkFormat(fn, 3, { version: 3, stateFormat: 3, migrates: true }, true)
  checkFormat(fn, 3, { version: 4, stateFormat: 3 }, false)
  checkFormat(fn, 1, { version: 1 }, false)
})

test('checkFormat refuses a version without migrate while something is left to migrate', () => {
  assert.throws(
    () => checkFormat(fn, 3, { stateFormat: 3 }, true),
    /Cannot let this version of 'totals' follow: .* it has no migrate. Keep the one of v3, which has to .*, or wait/,
  )
  checkFormat(fn, 3, { stateFormat: 3, migrates: true }, true)
})

test('checkRollout refuses a canary followed by waves for a version with migrate', () => {
  const canary = { steps: [10], bakeMs: 1_000 } as never
  assert.throws(
    () => checkRollout({ ...fn, rollout: { canary, rolling: 1 } }),
    /Cannot let this version of 'totals' be a canary and then roll: .* Leave out --canary \(rollout.canary\) or --rolling/,
  )
  checkRollout({ ...fn, rollout: { canary } })
  checkRollout({ ...fn, rollout: { rolling: 1 } })
  checkRollout(fn)
})

test('migratesAfter names the version whose state a migrate with other code receives too', () => {
  assert.deepEqual(migratesAfter(2, true, false), { migratesAfter: 2 })
  assert.deepEqual(migratesAfter(2, true, true), {}, 'the very same code begins no shape')
  assert.deepEqual(migratesAfter(2, false, false), {})
  assert.deepEqual(migratesAfter(1, true, false), {}, 'nothing has been migrated before')
})

test('Deployer.promote refuses a version that cannot read the state, also a former shadow', async (t) => {
  const platform = await startPlatform()
  t.after(() => platform.close())
  const { store } = platform
  const wish = async () => (await store.get<FunctionDocument>(paths.function(namespace, 'totals')))!
  const deploy = async (callbacks: string, rollout?: object) => {
    const bundle = `export default { metadata: { name: 'totals', istreams: { sums: 'groupBy' } }, processRecord() {}${callbacks} }`
    const body = new FormData()
    body.set('manifest', new Blob([JSON.stringify({ rollout })]), 'manifest.json')
    body.set('bundle', new Blob([bundle]), 'bundle.js')
    const answer = (await (await platform.call('POST', '/v1/functions', { body })).json()) as DeployAnswer
    // The scheduler finds it good, or ends it as a shadow.
    const { value, version } = await wish()
    const good = rollout === undefined ? answer.version : value.version - 1
    await store.update(paths.function(namespace, 'totals'), { ...value, good }, version)
  }
  const promote = async (to?: number) => {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ to })
    const answer = await platform.call('POST', '/v1/functions/totals/promote', { headers, body })
    return { status: answer.status, body: (await answer.json()) as DeployAnswer & Problem }
  }
  await deploy('')
  await deploy(', init() {}', { shadow: { bakeMs: 1_000 } })
  await deploy(', migrate() {}')
  const outcome: OutcomeDocument = { schema: 1, version: 2, state: 'shadowed', atMs: 1 }
  await store.create(paths.outcome(namespace, 'totals', 2), outcome)
  const before = await wish()
  for (const refused of [await promote(), await promote(1)]) {
    assert.deepEqual([refused.status, refused.body.code], [409, 'ERR_VERSION_INCOMPATIBLE'])
    assert.match(refused.body.detail, /it cannot read the state, which v3 has migrated/)
  }
  assert.deepEqual(await wish(), before)
  await deploy('')
  assert.deepEqual([(await promote(2)).status, (await wish()).value.version], [409, 4])
})
