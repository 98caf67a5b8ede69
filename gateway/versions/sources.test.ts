/** The code of versions over HTTP. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBundles } from '../../infra/bundles/index.ts'
import type { DeployAnswer, Problem } from '../../sdk/api/index.ts'
import type { VersionSources } from '../../sdk/api/sources.ts'
import { type Platform, sourceOf, startPlatform } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

async function json<T>(method: string, path: string, init: Omit<RequestInit, 'method'> = {}) {
  const response = await platform.call(method, path, init)
  return { status: response.status, body: (await response.json()) as T }
}

const sources = (version: number, query = '') =>
  json<VersionSources & Problem>('GET', `/v1/functions/shout/versions/${version}/sources${query}`)

test('the sources of a version are its author’s files; without a source map, or asked for, the bundle that runs', async () => {
  const source = `// mine\n${sourceOf('shout', ['words'], ['loud'])}`
  const first = await json<DeployAnswer>('POST', '/v1/functions?file=shout.ts', { body: source })
  assert.equal(first.body.version, 1)
  assert.deepEqual((await sources(1)).body, {
    ...{ name: 'shout', version: 1, kind: 'source' },
    files: { 'shout.ts': source },
  })
  const bundle = (await sources(1, '?kind=bundle')).body
  assert.equal(bundle.kind, 'bundle')
  assert.equal(Buffer.byteLength(bundle.files['bundle.js']!), first.body.bundleBytes)

  const code =
    "export default { metadata: { name: 'shout', istreams: { words: 'groupBy' }, ostreams: ['loud'] }, processRecord() {} }"
  const upload = async (map: object) => {
    const body = new FormData()
    body.set('bundle', new Blob([code]))
    body.set('manifest', JSON.stringify({ env: { MAP: JSON.stringify(map) } }))
    body.set('sourceMap', new Blob([JSON.stringify({ version: 3, names: [], mappings: '', ...map })]))
    const { status, body: answer } = await json<DeployAnswer & Problem>('POST', '/v1/functions', { body })
    assert.equal(status, 200, answer.detail)
    return answer.version
  }
  const several = await upload({
    sources: ['src/b.ts', 'node_modules/concord/sdk.js', 'src/a.ts'],
    sourcesContent: ['two', 'ours', 'one'],
  })
  assert.deepEqual((await sources(several)).body.files, { 'src/a.ts': 'one', 'src/b.ts': 'two' })
  const without = await upload({ sources: ['src/a.ts'] })
  assert.deepEqual((await sources(without)).body.files, { 'bundle.js': code })

  const unknown = await sources(9)
  assert.deepEqual([unknown.status, unknown.body.code], [404, 'ERR_VERSION_UNKNOWN'])
  assert.match(unknown.body.detail, /no v9 of 'shout'.*the newest 100 are kept/)
  assert.equal((await sources(1, '?kind=all')).status, 400)
  await (await openBundles(platform.nc)).remove(first.body.bundleSha256)
  const gone = await sources(1, '?kind=bundle')
  assert.deepEqual([gone.status, gone.body.code], [404, 'ERR_VERSION_UNKNOWN'])
  assert.match(gone.body.detail, /Cannot show the code of v1 of 'shout': it is not kept any more/)
})
