/** What each instance gets, as deploys and people say it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FunctionDocument, paths, type VersionDocument } from '../../infra/store/index.ts'
import type { DeployAnswer, FunctionDetail, Problem } from '../../sdk/api/index.ts'
import { namespace, type Platform, startPlatform } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

async function deployBundle(bundle: string, manifest: object, query = '') {
  const body = new FormData()
  body.set('manifest', new Blob([JSON.stringify(manifest)]), 'manifest.json')
  body.set('bundle', new Blob([bundle]), 'bundle.js')
  const response = await platform.call('POST', `/v1/functions${query}`, { body })
  return { status: response.status, body: (await response.json()) as DeployAnswer & Problem }
}

test('Deploy keeps resources set by hand unless the manifest changes them, and says so (RE1)', async () => {
  const bundle = (more = '') =>
    `export default { metadata: { name: 'grown', istreams: { words: 'groupBy' } }, processRecord() {${more}} }`
  const resize = (wish: object) =>
    platform.call('PATCH', '/v1/functions/grown/resources', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wish),
    })
  const memMibOf = async () =>
    ((await (await platform.call('GET', '/v1/functions/grown')).json()) as FunctionDetail).manifest.resources
      .memMib
  const deploy = async (resources: object, more?: string) =>
    (await deployBundle(bundle(more), { resources })).body
  assert.equal((await deploy({ memMib: 256 })).byHand, undefined)
  await resize({ memMib: 512 })
  const same = await deploy({ memMib: 256 })
  assert.deepEqual([same.changed, await memMibOf()], [false, 512], 'the very same')
  const kept = await deploy({ memMib: 256, cpus: 0.5 }, '1')
  assert.deepEqual(kept.byHand, [{ what: 'memMib', is: 512, manifest: 256 }])
  assert.deepEqual([kept.changed, await memMibOf()], [true, 512], 'other code, other cores')
  assert.deepEqual((await deploy({ memMib: 256, cpus: 0.5 }, '2')).byHand, kept.byHand, 'still')
  const meant = await deployBundle(
    bundle('3'),
    { resources: { memMib: 256, cpus: 0.5 } },
    '?ownSizes=memMib,cpus',
  )
  assert.deepEqual([meant.body.byHand, await memMibOf()], [undefined, 256], 'who deploys means them')
  await resize({ memMib: 512, cpus: 0.75 })
  const one = await deployBundle(bundle('4'), { resources: { memMib: 256, cpus: 0.5 } }, '?ownSizes=cpus')
  assert.deepEqual(one.body.byHand, kept.byHand, 'means that one')
  const neither = await deployBundle(bundle('5'), {}, '?ownSizes=cpus,ram')
  assert.deepEqual([neither.status, neither.body.code], [400, 'ERR_REQUEST_INVALID'])
  assert.match(neither.body.detail, /cpus, memMib, diskMib, or several of them separated by commas/)
  await resize({ memMib: 512 })
  const own = await deploy({ memMib: 384, cpus: 0.5 }, '2')
  assert.deepEqual([own.byHand, await memMibOf()], [undefined, 384], 'its own has changed')

  await resize({ memMib: 640 })
  assert.equal((await deploy({ memMib: 640, cpus: 0.5 }, '2')).byHand, undefined, 'it says so now itself')
  await deploy({ memMib: 384, cpus: 0.5 }, '2')
  assert.equal(await memMibOf(), 384, 'and no more')
  await resize({ memMib: 512 })
  await resize({ memMib: 384 })
  await deploy({ memMib: 384, cpus: 0.5 }, '3')
  assert.equal(await memMibOf(), 384)
})

test('Deploy refuses resources set by hand that are too small for the new manifest, and names them', async () => {
  const bundle =
    "export default { metadata: { name: 'apart', istreams: { words: 'groupBy' } }, processRecord() {} }"
  const packed = await deployBundle(bundle, { resources: { memMib: 256 }, instancesPerRunner: 4 })
  assert.equal(packed.status, 200)
  const small = await platform.call('PATCH', '/v1/functions/apart/resources', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ memMib: 16 }),
  })
  assert.equal(small.status, 200)
  const { status, body } = await deployBundle(bundle, { resources: { memMib: 256 } })
  assert.deepEqual([status, body.code], [422, 'ERR_MANIFEST_INVALID'])
  assert.match(
    body.detail,
    /memMib is 16, set by hand, .* takes 160 at least.*`concord fn scale apart --mem 256`/,
  )
})

test('A change of resources makes an untried version of the same bundle, and is refused if they are too small', async () => {
  const bundle =
    "export default { metadata: { name: 'sized', istreams: { words: 'groupBy' } }, processRecord() {}, migrate() {} }"
  await deployBundle(bundle, { resources: { memMib: 256, cpus: 0.5 }, rollout: { canary: {} } })
  const patch = async (wish: object) => {
    const response = await platform.call('PATCH', '/v1/functions/sized/resources', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wish),
    })
    return { status: response.status, body: (await response.json()) as DeployAnswer & Problem }
  }
  const versionOf = async (version: number) =>
    (await platform.store.get<VersionDocument>(paths.version(namespace, 'sized', version)))!.value
  const { status, body } = await patch({ memMib: 512, message: 'it grew' })
  assert.deepEqual([status, body.version, body.changed], [200, 2, true])
  const [one, two] = [await versionOf(1), await versionOf(2)]
  assert.deepEqual(two.manifest.resources, { ...one.manifest.resources, memMib: 512 })
  assert.deepEqual(
    [two.bundleSha256, two.stateFormat, two.message],
    [one.bundleSha256, one.stateFormat, 'it grew'],
  )
  const wish = (await platform.store.get<FunctionDocument>(paths.function(namespace, 'sized')))!.value
  assert.deepEqual([wish.version, wish.atOnce], [2, true])

  assert.deepEqual((await patch({ memMib: 512 })).body.changed, false)
  const small = await patch({ memMib: 159 })
  assert.deepEqual([small.status, small.body.code], [422, 'ERR_MANIFEST_INVALID'])
  assert.match(
    small.body.detail,
    /resources.memMib is 159, and an instance with a runner of its own takes 160 at least. Ask for 160 or more/,
  )
  assert.match((await patch({ message: 'nothing' })).body.detail, /one of cpus, memMib and diskMib/)
  assert.equal((await patch({ cpus: 0 })).body.code, 'ERR_REQUEST_INVALID')
  assert.deepEqual(await versionOf(2), two)

  const path = paths.function(namespace, 'sized')
  const live = (await platform.store.get<FunctionDocument>(path))!
  const { atOnce: _, ...value } = live.value
  await platform.store.update(path, { ...value, good: 2 }, live.version)
  await deployBundle(bundle.replace('processRecord() {}', 'processRecord() { throw 1 }'), {
    resources: { memMib: 512, cpus: 0.5 },
    rollout: { canary: {} },
  })
  const { status: refused, body: why } = await patch({ memMib: 600 })
  assert.deepEqual([refused, why.code], [409, 'ERR_VERSION_INCOMPATIBLE'])
  assert.match(why.detail, /v3 is being tried beside v2, .* its code would take over everywhere at once/)
  const { version } = (await platform.store.get<FunctionDocument>(path))!.value
  assert.equal(version, 3, 'and nothing has changed')
})
