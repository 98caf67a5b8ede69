/** Assets over HTTP: contents under their hash, and versions that name them. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import type { AssetList } from '../../sdk/api/assets.ts'
import type {
  DeployAnswer,
  FunctionDetail,
  Problem,
  VersionDiff,
  VersionSummary,
} from '../../sdk/api/index.ts'
import { type Platform, sourceOf, startPlatform, token, until } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function json<T>(method: string, path: string, init: Omit<RequestInit, 'method'> = {}) {
  const response = await platform.call(method, path, init)
  return { status: response.status, body: (await response.json()) as T }
}

async function send(bytes: Buffer<ArrayBuffer>): Promise<string> {
  const { status } = await json('PUT', `/v1/assets/${sha256(bytes)}`, { body: bytes })
  assert.equal(status, 200)
  return sha256(bytes)
}

const patch = (name: string, document: unknown) =>
  json<DeployAnswer & Problem>('PATCH', `/v1/functions/${name}/assets`, { body: JSON.stringify(document) })
const deploy = (name: string, manifest: object = {}, assets?: object, query = '') => {
  const body = new FormData()
  body.set('manifest', JSON.stringify(manifest))
  body.set('source', new Blob([sourceOf(name, ['words'], ['out'])]), 'f.ts')
  if (assets !== undefined) body.set('assets', JSON.stringify(assets))
  return json<DeployAnswer & Problem>('POST', `/v1/functions${query}`, { body })
}
const assetsOf = async (name: string) => (await json<AssetList>('GET', `/v1/functions/${name}/assets`)).body

async function partsStored(): Promise<number> {
  return (await (await jetstreamManager(platform.nc)).streams.info('OBJ_concord-bundles')).state.messages
}

test('a pushed asset makes a version with the same bundle, which diff, rollback and deploys respect', async () => {
  const [one, two] = [randomBytes(300_000), randomBytes(200_000)]
  assert.equal((await deploy('score')).body.version, 1)
  const hash = sha256(one)
  assert.equal((await json('GET', `/v1/assets/${hash}`)).status, 404)
  await send(one)
  assert.deepEqual((await json('GET', `/v1/assets/${hash}`)).body, { sha256: hash, bytes: 300_000 })
  const first = await patch('score', { assets: { 'model.bin': hash }, author: 'ada', message: 'better' })
  assert.deepEqual([first.status, first.body.version, first.body.changed], [200, 2, true])
  const again = await patch('score', { assets: { 'model.bin': hash } })
  assert.deepEqual([again.body.version, again.body.changed], [2, false])
  const second = await patch('score', { assets: { 'model.bin': await send(two), 'words.txt': hash } })
  assert.equal(second.body.version, 3)
  assert.equal(second.body.bundleSha256, first.body.bundleSha256)

  const { versions } = (await json<{ versions: VersionSummary[] }>('GET', '/v1/functions/score/versions'))
    .body
  assert.deepEqual(
    versions.map(({ version, author, message, assets }) => [version, author, message, Object.keys(assets)]),
    [
      [3, undefined, undefined, ['model.bin', 'words.txt']],
      [2, 'ada', 'better', ['model.bin']],
      [1, undefined, undefined, []],
    ],
  )
  const diff = (await json<VersionDiff>('GET', '/v1/functions/score/diff?from=2&to=3')).body
  const words = (bytes: Buffer) => `${sha256(bytes).slice(0, 12)} (${bytes.length} bytes)`
  assert.deepEqual([diff.sameCode, diff.manifest], [true, []])
  assert.deepEqual(diff.assets, [
    { path: 'model.bin', before: words(one), after: words(two) },
    { path: 'words.txt', after: words(one) },
  ])

  const unchanged = await deploy('score')
  assert.deepEqual([unchanged.body.version, unchanged.body.changed], [3, false], 'a deploy keeps the assets')
  await json('POST', '/v1/functions/score/rollback', { body: JSON.stringify({ to: 2 }) })
  assert.deepEqual((await assetsOf('score')).assets, { 'model.bin': { sha256: hash, bytes: 300_000 } })
  const code = await deploy('score', { args: ['new'] }, { 'words.txt': sha256(two) })
  assert.equal(code.body.version, 4)
  assert.deepEqual(Object.keys((await assetsOf('score')).assets), ['model.bin', 'words.txt'])
  const gone = await patch('score', { assets: { 'words.txt': null } })
  assert.deepEqual([gone.status, gone.body.version], [200, 5])
  const detail = (await json<FunctionDetail>('GET', '/v1/functions/score')).body
  assert.deepEqual(detail.assets, { 'model.bin': { sha256: hash, bytes: 300_000 } })
})

test('a deploy and its dry run name the assets that get other bytes, and the versions that brought them', async () => {
  const [one, two] = [await send(Buffer.from('one')), await send(Buffer.from('two'))]
  const first = await deploy('folder', {}, { 'model.json': one })
  assert.equal(first.body.replaced, undefined, 'there was nothing before')
  await patch('folder', { assets: { 'model.json': two }, author: 'ada', message: 'retrained' })
  const args = (text: string) => ({ args: [text] })
  assert.equal((await deploy('folder', args('a'))).body.replaced, undefined, 'it keeps them')
  const had = { version: 2, author: 'ada', message: 'retrained' }
  const back = [{ asset: 'model.json', had, again: 1 }]
  assert.deepEqual((await deploy('folder', args('b'), { 'model.json': one }, '?dryRun')).body.replaced, back)
  assert.deepEqual((await deploy('folder', args('b'), { 'model.json': one })).body.replaced, back)
  assert.equal(
    (await deploy('folder', args('c'), { 'model.json': one })).body.replaced,
    undefined,
    'the same',
  )
  const three = await deploy('folder', args('c'), { 'model.json': await send(Buffer.from('three')) })
  assert.deepEqual(three.body.replaced, [{ asset: 'model.json', had: { version: 1 } }])
})

test('assets that a manifest names must exist before anything changes', async () => {
  const bare = await deploy('needy', { assets: ['model.bin'] })
  assert.deepEqual([bare.status, bare.body.code], [409, 'ERR_ASSET_NEEDED'])
  assert.match(
    bare.body.detail,
    /'model\.bin'.*folder assets\/ or by --asset FILE.*concord asset push needy FILE/,
  )
  const name = await send(randomBytes(1000))
  assert.equal((await deploy('needy', { assets: ['model.bin'] }, { 'model.bin': name })).body.version, 1)
  const removed = await patch('needy', { assets: { 'model.bin': null } })
  assert.deepEqual([removed.status, removed.body.code], [409, 'ERR_ASSET_NEEDED'])
  assert.equal((await assetsOf('needy')).version, 1)
})

test('refused assets get a clear error, and leave nothing behind', async () => {
  await deploy('strict', { resources: { memMib: 160 } })
  const before = await partsStored()
  const bytes = randomBytes(500_000)
  const wrong = await json<Problem>('PUT', `/v1/assets/${'0'.repeat(64)}`, { body: bytes })
  assert.deepEqual([wrong.status, wrong.body.code], [422, 'ERR_ASSET_HASH'])
  assert.match(wrong.body.detail, new RegExp(`500000 bytes that came have the hash ${sha256(bytes)}`))
  const malformed = await json<Problem>('PUT', '/v1/assets/abc', { body: bytes })
  assert.deepEqual([malformed.status, malformed.body.code], [400, 'ERR_REQUEST_INVALID'])
  const unknown = await patch('nobody', { assets: { a: null } })
  assert.deepEqual([unknown.status, unknown.body.code], [404, 'ERR_FUNCTION_UNKNOWN'])
  const noName = await patch('strict', { assets: { a: null } })
  assert.deepEqual([noName.status, noName.body.code], [404, 'ERR_ASSET_UNKNOWN'])
  const noContent = await patch('strict', { assets: { a: '1'.repeat(64) } })
  assert.deepEqual([noContent.status, noContent.body.code], [404, 'ERR_ASSET_UNKNOWN'])
  const badName = await patch('strict', { assets: { '../a': '1'.repeat(64) } })
  assert.deepEqual([badName.status, badName.body.code], [400, 'ERR_REQUEST_INVALID'])
  assert.match(badName.body.detail, /plain file name/)
  assert.equal(await partsStored(), before)
  const large = await send(randomBytes(65 * 2 ** 20))
  const tooLarge = await patch('strict', { assets: { a: large } })
  assert.deepEqual([tooLarge.status, tooLarge.body.code], [413, 'ERR_TOO_LARGE'])
  const [, enough] =
    /assets of 65 MiB: of 160 MiB .* 64 are left .* --mem (\d+)/.exec(tooLarge.body.detail) ?? []
  assert.ok(enough !== undefined, tooLarge.body.detail)
  await json('PATCH', '/v1/functions/strict/resources', { body: JSON.stringify({ memMib: Number(enough) }) })
  assert.equal((await patch('strict', { assets: { a: large } })).status, 200, 'what was advised is enough')
})

test('an upload declared too large is refused at once; an interrupted one leaves nothing behind', async () => {
  const before = await partsStored()
  const upload = (headers: Record<string, string | number>) =>
    request(`${platform.gateway.url}/v1/assets/${'2'.repeat(64)}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, ...headers },
    })
  const declared = upload({ 'content-length': 600 * 2 ** 20 })
  declared.flushHeaders()
  declared.on('error', () => {})
  const status = await new Promise((resolve) =>
    declared.on('response', ({ statusCode }) => resolve(statusCode)),
  )
  assert.equal(status, 413)
  declared.destroy()

  const torn = upload({ 'content-length': 2_000_000 })
  torn.on('error', () => {})
  torn.write(randomBytes(1_000_000))
  await until('some of it is stored', async () => (await partsStored()) > before)
  torn.destroy()
  await until('nothing of it is stored', async () => (await partsStored()) === before)
})
