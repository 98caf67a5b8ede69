import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { openBundles } from '../../infra/bundles/index.ts'
import { type FunctionDocument, paths, type VersionDocument } from '../../infra/store/index.ts'
import type { DeployAnswer, FunctionDetail, Problem, Scaling } from '../../sdk/api/index.ts'
import { CodedError } from '../../sdk/errors.ts'
import { namespace, type Platform, sourceOf, startPlatform, token } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

async function deploySource(
  source: string,
  query = '',
): Promise<{ status: number; body: DeployAnswer & Problem }> {
  const response = await platform.call('POST', `/v1/functions${query}`, { body: source })
  return { status: response.status, body: (await response.json()) as DeployAnswer & Problem }
}

async function deployBundle(bundle: string, manifest?: unknown, sourceMap?: string, query = '') {
  const body = new FormData()
  if (manifest !== undefined) body.set('manifest', new Blob([JSON.stringify(manifest)]), 'manifest.json')
  body.set('bundle', new Blob([bundle]), 'bundle.js')
  if (sourceMap !== undefined) body.set('sourceMap', new Blob([sourceMap]), 'map')
  const response = await platform.call('POST', `/v1/functions${query}`, { body })
  return { status: response.status, body: (await response.json()) as DeployAnswer & Problem }
}

async function everything(): Promise<string> {
  const { store } = platform
  const names = await store.list(paths.functions(namespace))
  const versions = await Promise.all(names.map((name) => store.list(paths.versions(namespace, name))))
  return JSON.stringify([names, versions, await store.list(paths.streams(namespace))])
}

test('Deploy of one source file stores bundle, map, streams, version and function document', async () => {
  const { status, body } = await deploySource(sourceOf('shout', ['words'], ['loud']), '?file=shout.ts')
  assert.deepEqual([status, body.name, body.version, body.changed], [200, 'shout', 1, true])
  const { store, nc } = platform
  const version = (await store.get<VersionDocument>(paths.version(namespace, 'shout', 1)))!.value
  const wish = (await store.get<FunctionDocument>(paths.function(namespace, 'shout')))!.value
  assert.deepEqual([wish.version, wish.instances], [1, 1])
  assert.deepEqual(await store.list(paths.streams(namespace)), ['loud', 'words'])
  const bundles = await openBundles(nc)
  const code = Buffer.from(await bundles.get(version.bundleSha256)).toString()
  assert.match(code, /shout/)
  assert.equal(version.bundleBytes, Buffer.byteLength(code))
  const map = JSON.parse(Buffer.from(await bundles.get(version.sourceMapSha256!)).toString()) as {
    sources: string[]
  }
  assert.deepEqual(map.sources, ['shout.ts'])
})

test('Deploy of the same upload creates no new version, but another manifest does', async () => {
  const bundle =
    "export default { metadata: { name: 'same', istreams: { words: 'groupBy' } }, processRecord() {} }"
  assert.deepEqual(
    [(await deployBundle(bundle)).body.version, (await deployBundle(bundle)).body],
    [1, { ...(await deployBundle(bundle)).body, version: 1, changed: false }],
  )
  const more = await deployBundle(bundle, { instances: 3, env: { A: '1' } })
  assert.deepEqual([more.body.version, more.body.changed], [2, true])
  const detail = (await (await platform.call('GET', '/v1/functions/same')).json()) as FunctionDetail
  assert.deepEqual([detail.version, detail.instancesWanted, detail.manifest.env], [2, 3, { A: '1' }])
})

test('Deploy of the same upload puts back code that the bundle store has lost', async () => {
  const bundle =
    "export default { metadata: { name: 'lost', istreams: { words: 'groupBy' } }, processRecord() {} }"
  const { bundleSha256 } = (await deployBundle(bundle)).body
  const bundles = await openBundles(platform.nc)
  await bundles.remove(bundleSha256)
  assert.equal((await deployBundle(bundle)).body.changed, false)
  assert.equal(await bundles.has(bundleSha256), true)
})

test('Deploy keeps a count changed by hand, unless the manifest changes its own', async () => {
  const bundle =
    "export default { metadata: { name: 'counted', istreams: { words: 'groupBy' } }, processRecord() {} }"
  const wanted = async () =>
    (await platform.store.get<FunctionDocument>(paths.function(namespace, 'counted')))!.value.instances
  await deployBundle(bundle, { instances: 2 })
  await platform.call('PUT', '/v1/functions/counted/instances', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ instances: 5 }),
  })
  await deployBundle(bundle, { instances: 2 })
  assert.equal(await wanted(), 5, 'the very same')
  await deployBundle(bundle, { instances: 2, env: { A: '1' } })
  assert.equal(await wanted(), 5, 'another version')
  await deployBundle(bundle, { instances: 3, env: { A: '1' } })
  assert.equal(await wanted(), 3, 'its own count has changed')

  const { body } = await deployBundle(bundle, { instances: 3, env: { A: '1' } }, undefined, '?instances=4')
  assert.deepEqual([await wanted(), body.changed], [4, false], 'who deploys has said so')
  await deployBundle(bundle, { instances: 3, env: { A: '2' } })
  assert.equal(await wanted(), 4)
  assert.equal((await deployBundle(bundle, {}, undefined, '?instances=-1')).status, 400)

  const why = (await (await platform.call('GET', '/v1/functions/counted/scaling')).json()) as Scaling
  assert.deepEqual(
    why.changes.map(({ from, to, because }) => [from, to, because]),
    [
      [2, 5, 'set by hand'],
      [5, 3, 'deployed so, with v3'],
      [3, 4, 'deployed so, with v3'],
    ],
  )
})

test('Deploy of the same source gives the same bundle, however it is sent and whatever its file is called', async () => {
  const source = sourceOf('alike', ['words'], [])
  const { body: first } = await deploySource(source)
  const form = new FormData()
  form.set('manifest', JSON.stringify({ instances: 1 }))
  form.set('source', new Blob([source]), 'index.ts')
  const response = await platform.call('POST', '/v1/functions?file=index.ts', { body: form })
  assert.deepEqual(await response.json(), { ...first, version: 1, changed: false })
  assert.deepEqual((await deploySource(source, '?file=alike.js')).body, { ...first, changed: false })
})

test('Simultaneous deploys get different versions', async () => {
  const bundles = [1, 2, 3].map((n) => deployBundle(`// ${n}\nexport default { metadata: { name: 'race' } }`))
  const versions = (await Promise.all(bundles)).map(({ body }) => body.version)
  assert.deepEqual(versions.sort(), [1, 2, 3])
})

const refusals: Readonly<
  Record<
    string,
    [status: number, code: string, message: RegExp, run: () => Promise<{ status: number; body: Problem }>]
  >
> = {
  'a syntax error in a source': [
    422,
    'ERR_SOURCE_INVALID',
    /fn\.ts/,
    () => deploySource('export default {', '?file=fn.ts'),
  ],
  'a syntax error in a bundle': [
    422,
    'ERR_SOURCE_INVALID',
    /bundle\.js:1/,
    () => deployBundle('export default {'),
  ],
  'no default export': [
    422,
    'ERR_NO_DEFAULT_EXPORT',
    /default export/,
    () => deploySource('export const a = 1'),
  ],
  'an import': [
    422,
    'ERR_IMPORT_REFUSED',
    /node:fs/,
    () => deploySource("import fs from 'node:fs'\nexport default fs"),
  ],
  'a stream named badly': [
    422,
    'ERR_METADATA_INVALID',
    /ostreams/,
    () => deploySource(sourceOf('bad', [], ['No Good'])),
  ],
  'a function named badly': [
    422,
    'ERR_METADATA_INVALID',
    /lower-case/,
    () => deploySource(sourceOf('../bad', [], [])),
  ],
  'a budget for a queue that there is not': [
    422,
    'ERR_MANIFEST_INVALID',
    /'words' has queueMib, which goes with the back-pressure 'enqueue', 'dropHead' or 'dropTail', and asks for 'block'/,
    () =>
      deployBundle(
        "export default { metadata: { name: 'bad', istreams: { words: { grouping: 'groupBy', queueMib: 5 } } }, processRecord() {} }",
      ),
  ],
  'a manifest of another name': [
    422,
    'ERR_MANIFEST_CONTRADICTS',
    /other/,
    () => deployBundle("export default { metadata: { name: 'bad' } }", { name: 'other' }),
  ],
  'an unknown key in the manifest': [
    422,
    'ERR_MANIFEST_INVALID',
    /instnaces/,
    () => deployBundle("export default { metadata: { name: 'bad' } }", { instnaces: 1 }),
  ],
  'a cycle that only blocks': [
    409,
    'ERR_CYCLE_BLOCKS',
    /bad → words → shout → loud → bad/,
    () => deploySource(sourceOf('bad', ['loud'], ['words'])),
  ],
  'a multipart body without bundle': [
    400,
    'ERR_REQUEST_INVALID',
    /bundle/,
    async () => {
      const body = new FormData()
      body.set('manifest', '{}')
      const response = await platform.call('POST', '/v1/functions', { body })
      return { status: response.status, body: (await response.json()) as Problem }
    },
  ],
  'a manifest with comments': [
    422,
    'ERR_MANIFEST_INVALID',
    /it is not JSON \(.*\)\. It takes no comments, unlike concord\.jsonc\./,
    async () => {
      const body = new FormData()
      body.set('source', new Blob(['export default 1']))
      body.set('manifest', '{ // as in concord.jsonc\n"instances": 1 }')
      const response = await platform.call('POST', '/v1/functions', { body })
      return { status: response.status, body: (await response.json()) as Problem }
    },
  ],
  'a source and a bundle at once': [
    400,
    'ERR_REQUEST_INVALID',
    /'source', which goes without 'bundle'/,
    async () => {
      const body = new FormData()
      for (const part of ['source', 'bundle']) body.set(part, new Blob(['export default 1']))
      const response = await platform.call('POST', '/v1/functions', { body })
      return { status: response.status, body: (await response.json()) as Problem }
    },
  ],
  'a manifest beyond its limit': [
    413,
    'ERR_TOO_LARGE',
    /manifest/,
    () => deployBundle('export default 1', { env: { A: 'x'.repeat(70_000) } }),
  ],
  'a path as file name': [
    400,
    'ERR_REQUEST_INVALID',
    /file name/,
    () => deploySource('export default 1', '?file=../../x.ts'),
  ],
}

for (const [what, [status, code, message, run]] of Object.entries(refusals)) {
  test(`Deploy refuses ${what} and stores nothing`, async () => {
    const before = await everything()
    const { status: found, body } = await run()
    assert.deepEqual([found, body.code], [status, code], body.detail)
    assert.match(body.detail, message)
    assert.equal(await everything(), before)
  })
}

test('Deploy says where the source is wrong', async () => {
  const { body } = await deploySource('const a = 1\n  const a = 2\nexport default a', '?file=two.ts')
  assert.deepEqual(body.location, { file: 'two.ts', line: 2, column: 9 })
})

test('Deploy refuses groupBy inputs of different partitions', async () => {
  await platform.call('PUT', '/v1/streams/narrow', { body: JSON.stringify({ partitions: 4 }) })
  const { status, body } = await deploySource(sourceOf('joined', ['words', 'narrow'], []))
  assert.deepEqual([status, body.code], [409, 'ERR_PARTITIONS_DIFFER'])
  assert.match(body.detail, /'words' has 16, 'narrow' has 4/)
})

for (const chunked of [false, true]) {
  test(`Deploy refuses a ${chunked ? 'chunked ' : ''}upload of 100 MB while it comes, in bounded memory`, async () => {
    const before = await everything()
    const rssBefore = process.memoryUsage.rss()
    const bytesAll = 100 * 1024 * 1024
    const outgoing = request(`${platform.gateway.url}/v1/functions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, ...(chunked ? {} : { 'content-length': bytesAll }) },
    })
    outgoing.on('error', () => undefined) // the rest is not wanted
    const answered = once(outgoing, 'response')
    const piece = Buffer.alloc(256 * 1024, 'x')
    let sent = 0
    let over = false
    void answered.then(() => {
      over = true
    })
    while (!over && sent < bytesAll) {
      sent += piece.length
      if (!outgoing.write(piece))
        await Promise.race([once(outgoing, 'drain').catch(() => undefined), answered])
    }
    const [response] = (await answered) as [import('node:http').IncomingMessage]
    assert.equal(response.statusCode, 413)
    outgoing.destroy()
    assert.ok(process.memoryUsage.rss() - rssBefore < 64 * 1024 * 1024)
    assert.equal(await everything(), before)
  })
}

test('Deploy refuses a multipart upload whose bundle or map is too large while it comes', async () => {
  const tooLarge = await deployBundle(`//${'x'.repeat(11 * 1024 * 1024)}`)
  assert.deepEqual([tooLarge.status, tooLarge.body.code], [413, 'ERR_TOO_LARGE'])
  assert.match(tooLarge.body.detail, /bundle/)
})

test('Deploy with a full or failing bundle store stores nothing and says so', async () => {
  const failing = (message: string) => ({
    put: () => Promise.reject(new CodedError('ERR_BUNDLE_STORE', message)),
    list: () => Promise.resolve([]),
    removeUntouched: () => Promise.resolve(false),
    removeTorn: () => Promise.resolve(0),
    get: () => Promise.reject(new Error('nobody reads here')),
  })
  const attempts = [
    [507, 'ERR_STORAGE_FULL', 'the disk of nats-server is full', 'make room and deploy again'],
    [503, 'ERR_BACKEND', 'is there room on its disk?', 'make room if there is none, and deploy again'],
    [503, 'ERR_BACKEND', 'the bundle store refused (no)', 'deploy again'],
  ] as const
  for (const [status, code, message, advice] of attempts) {
    const before = await everything()
    const gateway = await platform.another({ bundles: failing(message) })
    const response = await fetch(`${gateway.url}/v1/functions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: sourceOf('unlucky', ['words'], ['fresh']),
    })
    const problem = (await response.json()) as Problem
    assert.deepEqual([response.status, problem.code], [status, code])
    assert.ok(problem.detail.endsWith(`${message}. Nothing was changed; ${advice}.`), problem.detail)
    assert.equal(await everything(), before)
  }
})

test('Deploy survives a hostile upload, and the next one works', async () => {
  const { status, body } = await deploySource('const a = []\nfor (;;) a.push(new Array(1000).fill(1))')
  assert.equal(status, 422)
  assert.match(body.code, /^ERR_LOAD_/)
  assert.equal((await deploySource(sourceOf('after', ['words'], []))).status, 200)
})

test('Scale changes how many instances are wanted, and nothing else', async () => {
  await deploySource(sourceOf('wide', ['words'], []))
  const read = async () =>
    (await platform.store.get<FunctionDocument>(paths.function(namespace, 'wide')))!.value
  const before = await read()
  const scale = (name: string, body: unknown) => {
    const headers = { 'content-type': 'application/json' }
    return platform.call('PUT', `/v1/functions/${name}/instances`, { headers, body: JSON.stringify(body) })
  }
  const answer = await scale('wide', { instances: 5 })
  assert.deepEqual([answer.status, await answer.json()], [200, { instances: 5, pinned: false }])
  const { scaled = [], ...after } = await read()
  assert.deepEqual(after, { ...before, instances: 5 })
  assert.deepEqual([scaled.length, scaled[0]?.to], [1, 5])
  for (const body of [{ instances: -1 }, { instances: 1.5 }, { instances: 1025 }, {}, { instances: 1, x: 1 }])
    assert.equal((await scale('wide', body)).status, 400, JSON.stringify(body))
  assert.equal((await scale('never', { instances: 1 })).status, 404)
  assert.deepEqual(await read(), { ...after, scaled })
})

/** The bundle that `concord fn deploy` would make of it. */
function bundleOf(name: string, inputs: readonly string[]): string {
  const istreams = JSON.stringify(Object.fromEntries(inputs.map((input) => [input, 'groupBy'])))
  return `export default { metadata: { name: '${name}', istreams: ${istreams} }, processRecord() {} }`
}

test('A number is a pin over a scaling policy: deploys keep it, `auto` removes it, and bounds hold without it', async () => {
  const name = 'scaled'
  const bundle = bundleOf(name, ['words'])
  const deploy = (scale: object | undefined, more: object = {}) =>
    deployBundle(bundle, scale === undefined ? more : { scale, ...more })
  const read = async () =>
    (await platform.store.get<FunctionDocument>(paths.function(namespace, name)))!.value
  const put = async (body: unknown) => {
    const headers = { 'content-type': 'application/json' }
    const options = { headers, body: JSON.stringify(body) }
    const answer = await platform.call('PUT', `/v1/functions/${name}/instances`, options)
    return { status: answer.status, body: (await answer.json()) as Problem & { pinned: boolean } }
  }
  assert.equal((await deploy(undefined)).status, 200)
  const none = await put({ auto: true })
  assert.deepEqual([none.status, none.body.code], [409, 'ERR_NO_POLICY'])
  assert.match(none.body.detail, /it has none\. Add 'scale' to its concord\.jsonc/)

  assert.equal((await put({ instances: 5 })).body.pinned, false)
  assert.equal((await deploy({ min: 2, max: 6 })).status, 200)
  assert.equal((await read()).instances, 5, 'a new policy begins with what there is')
  assert.equal((await deploy(undefined)).status, 200)
  assert.equal((await read()).instances, 1, 'what a policy left')
  assert.equal((await deploy({ min: 2, max: 6 })).status, 200)
  assert.equal((await read()).instances, 2, 'no fewer than its least')
  assert.equal((await put({ instances: 9 })).body.pinned, true)
  assert.equal((await deploy({ min: 2, max: 5 })).status, 200)
  assert.deepEqual([(await read()).instances, (await read()).pinned], [9, true])
  assert.equal((await deploy(undefined)).status, 200)
  assert.equal((await read()).instances, 9, 'over a deploy without the policy too')
  assert.equal((await deploy({ min: 2, max: 5 })).status, 200)
  assert.equal((await put({ auto: true })).body.pinned, false)
  assert.equal((await read()).pinned, undefined)
  assert.equal((await deploy({ min: 1, max: 4 })).status, 200)
  assert.equal((await read()).instances, 4, 'no more than its most')

  const answer = await platform.call('GET', `/v1/functions/${name}/scaling`)
  const scaling = (await answer.json()) as Scaling
  assert.deepEqual(
    [scaling.policy?.targets, scaling.pinned, scaling.changes.map(({ from, to }) => [from, to])],
    [
      { behindMs: 1000 },
      false,
      [
        [1, 5],
        [5, 1],
        [1, 2],
        [2, 9],
        [9, 4],
      ],
    ],
  )
})

test('Deploy refuses a policy that makes no sense, and says what to write instead', async () => {
  const refusal = async (scale: object, inputs = ['words'], more: object = {}) => {
    const { status, body } = await deployBundle(bundleOf('askew', inputs), { scale, ...more })
    assert.equal(status, 422, JSON.stringify(body))
    return body.detail
  }
  assert.match(await refusal({ min: 5, max: 2 }), /expected a 'min' that is at most 'max'/)
  assert.match(await refusal({ max: 0 }), /'scale\.max': expected a number of at least 1, found 0/)
  assert.match(await refusal({ max: 2, targets: {} }), /expected at least one of 'behindMs'/)
  assert.match(
    await refusal({ max: 2, targets: { cpu: 2 } }),
    /'scale\.targets\.cpu': expected a number of at most 1/,
  )
  const schedule = [{ cron: '0 25 * * *', forMs: 1000, min: 1 }]
  assert.match(await refusal({ max: 2, schedule }), /expected a cron expression like '0 8 \* \* 1-5'/)
  const zone = [{ cron: '0 5 * * *', timeZone: 'Mars/Olympus', forMs: 1000, min: 1 }]
  assert.match(await refusal({ max: 2, schedule: zone }), /expected a time zone like 'Europe\/Zurich'/)
  assert.match(await refusal({ max: 2, idle: {} }), /'idle' goes with 'min: 0'/)
  assert.match(await refusal({ max: 2 }, []), /'scale' follows the load of its inputs, and it has none/)
  assert.match(
    await refusal({ max: 2 }, ['words'], { instances: 3 }),
    /'instances' is 3, and 'scale\.max' allows 2 at most/,
  )
  assert.match(
    await refusal({ min: 0, max: 2, idle: { warm: true } }),
    /Add 'instancesPerRunner' \(2 or more\) or 'pack'/,
  )
})

test('Delete marks a function, and a deploy of that name is refused until it has ended', async () => {
  await deploySource(sourceOf('gone', ['words'], []))
  assert.equal((await platform.call('DELETE', '/v1/functions/gone')).status, 204)
  const wish = (await platform.store.get<FunctionDocument>(paths.function(namespace, 'gone')))!.value
  assert.equal(wish.deleted, true)
  const detail = (await (await platform.call('GET', '/v1/functions/gone')).json()) as FunctionDetail
  assert.deepEqual([detail.state, detail.instancesWanted], ['deleting', 0])
  const { status, body } = await deploySource(sourceOf('gone', ['words'], []))
  assert.deepEqual([status, body.code], [409, 'ERR_FUNCTION_DELETING'])
  assert.equal((await platform.call('DELETE', '/v1/functions/never')).status, 404)
})

test('Delete gives records in flight up only if its caller says so', async () => {
  await deploySource(sourceOf('busy', ['letters'], []))
  const produced = await platform.call('POST', '/v1/streams/letters/records', { body: '{"value":"a"}\n' })
  assert.equal(produced.status, 200)
  const refused = await platform.call('DELETE', '/v1/functions/busy')
  const { code, detail } = (await refused.json()) as Problem
  assert.deepEqual([refused.status, code], [409, 'ERR_RECORDS_IN_FLIGHT'])
  assert.match(detail, /in flight \(1 of 'letters'\) and would be given up\..*\?drop=true/)
  assert.equal((await platform.call('DELETE', '/v1/functions/busy?drop=true')).status, 204)
})
