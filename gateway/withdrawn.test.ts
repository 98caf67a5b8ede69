/** Versions that had begun when another one was wanted, over HTTP. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FunctionDocument, paths } from '../infra/store/index.ts'
import type { VersionSummary } from '../sdk/api.ts'
import { namespace, type Platform, startPlatform } from './testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

const bundle =
  "export default { metadata: { name: 'tried', istreams: { words: 'groupBy' } }, processRecord() {} }"

async function deploy(manifest: object = {}): Promise<void> {
  const body = new FormData()
  body.set('manifest', JSON.stringify(manifest))
  body.set('bundle', new Blob([bundle]), 'bundle.js')
  assert.equal((await platform.call('POST', '/v1/functions', { body })).status, 200)
}

test('A canary, a version that rolls, or one that ran in a part of its instances, that is rolled back, or deployed over, was withdrawn: it has run, and nobody goes back to it', async () => {
  const path = paths.function(namespace, 'tried')
  /** What the scheduler writes when v1 works and the wanted version has a part of the keys. */
  const begin = async (version: number) => {
    const { value, version: at } = (await platform.store.get<FunctionDocument>(path))!
    const canary = { version, step: 1, sinceMs: 0, passed: ['at 1 % of the keys: well'] }
    await platform.store.update(path, { ...value, good: 1, canary }, at)
  }
  const states = async () => {
    const answer = await platform.call('GET', '/v1/functions/tried/versions')
    const { versions } = (await answer.json()) as { versions: VersionSummary[] }
    return versions.map(({ state, reason }) => [state, reason])
  }
  await deploy()
  await deploy({ env: { A: '2' } })
  await begin(2)
  await platform.call('POST', '/v1/functions/tried/rollback', { body: '{}' })
  const second = ['withdrawn', 'v1 was wanted while it was a canary, at step 2; at 1 % of the keys: well']
  assert.deepEqual(await states(), [second, ['live', undefined]])

  await deploy({ env: { A: '3' } })
  await begin(3)
  await deploy({ env: { A: '4' } })
  const third = [second[0], second[1]!.replace('v1', 'v4')]
  assert.deepEqual(await states(), [['rollingOut', undefined], third, second, ['live', undefined]])

  const { value, version: at } = (await platform.store.get<FunctionDocument>(path))!
  const rolling = { version: 4, wave: 2, indexes: [0, 1], sinceMs: 0 }
  await platform.store.update(path, { ...value, rolling }, at)
  await platform.call('POST', '/v1/functions/tried/rollback', { body: '{}' })
  const fourth = ['withdrawn', 'v1 was wanted while it came to one instance after the other, in wave 2']
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
  await platform.call('POST', '/v1/functions/tried/rollback', { body: '{}' })
  assert.deepEqual((await states())[0], ['withdrawn', 'v1 was wanted while it ran in 1 of 3 instances'])
})
