import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type FunctionDocument, paths } from '../../infra/store/index.ts'
import type { DeployAnswer, FunctionDetail, ScaleAnswer } from '../../sdk/api/index.ts'
import { namespace, type Platform, startPlatform } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

async function json<T>(method: string, path: string, init: Omit<RequestInit, 'method'> = {}): Promise<T> {
  const response = await platform.call(method, path, init)
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return JSON.parse(text) as T
}

const sourceOf = (name: string, more = '', metadata = '') =>
  `import { defineFunction, groupBy } from 'concord'
export default defineFunction({ metadata: { name: '${name}', istreams: { words: groupBy }${metadata} }, processRecord(ctx) { ctx.nowMs()${more} } })`

function deploy(name: string, manifest: object, more = '', assets = {}): Promise<DeployAnswer> {
  const body = new FormData()
  body.set('manifest', new Blob([JSON.stringify(manifest)]), 'manifest.json')
  body.set('source', new Blob([sourceOf(name, more)]), 'function.ts')
  body.set('assets', JSON.stringify(assets))
  return json('POST', '/v1/functions', { body })
}

const set = { headers: { 'content-type': 'application/json' } }

test('Deploy names each setting that falls back to its default because it was left out (RM1)', async () => {
  const resources = { memMib: 512, cpus: 0.5 }
  const first = await deploy('spoken', { resources, env: { A: '1' }, restarts: 3 })
  assert.equal(first.reset, undefined, 'there was nothing before')
  const code = await json<DeployAnswer>('POST', '/v1/functions', {
    body: sourceOf('spoken', '; ctx.nowMs()'),
  })
  assert.deepEqual(code.reset, [
    { what: 'resources.cpus', was: '0.5', is: '0.25' },
    { what: 'resources.memMib', was: '512', is: '256' },
    { what: 'restarts', was: '3', is: '10' },
    { what: 'env.A', was: '"1"', is: 'nothing' },
  ])
  const said = await deploy('spoken', { resources: { memMib: 384 }, restarts: 4 })
  assert.equal(said.reset, undefined, 'all that changed was said')
})

test('Deploy names an error policy that neither the manifest nor the code says any more (RM1)', async () => {
  const source = (metadata: string) =>
    json<DeployAnswer>('POST', '/v1/functions', { body: sourceOf('careless', '', metadata) })
  await deploy('careless', { onError: 'skip' })
  assert.deepEqual((await source('')).reset, [{ what: 'onError', was: '"skip"', is: '"fail"' }])
  assert.equal((await source(", onError: 'deadLetter'")).reset, undefined, 'the code says it')
  assert.equal((await source(", onError: { retry: 2, then: 'skip' }")).reset, undefined)
})

test('Deploy says why a version gets all keys at once although its manifest asks for a canary', async () => {
  const rollout = { canary: {} }
  const why = async (manifest: object, more = '') =>
    (await deploy('staged', { rollout, ...manifest }, more)).noCanary
  assert.equal(await why({}), 'no version before it runs that it could be compared with')
  assert.equal((await deploy('plain', {})).noCanary, undefined)
  const path = paths.function(namespace, 'staged')
  const found = (await platform.store.get<FunctionDocument>(path))!
  await platform.store.update(path, { ...found.value, good: 1 }, found.version) // as the scheduler does
  assert.equal(await why({}), undefined, 'nothing changes')
  assert.equal(await why({ resources: { memMib: 300 } }), 'it asks for more resources')
  assert.equal(await why({}, '; ctx.nowMs()'), undefined, 'it is a canary beside v1')
  const body = new FormData()
  body.set('manifest', new Blob([JSON.stringify({ rollout })]), 'manifest.json')
  body.set('source', new Blob([sourceOf('staged', '; ctx.nowMs(); ctx.nowMs()')]), 'function.ts')
  const drained = await json<DeployAnswer>('POST', '/v1/functions?drain=true', { body })
  assert.equal(drained.noCanary, 'the instances are to be drained')
  const first = await deploy('beside', { rollout: { shadow: {} } })
  assert.deepEqual(
    [first.noShadow, first.noCanary],
    ['no version before it runs that it could be compared with', undefined],
  )
})

test('A change of assets, and a promotion, say why there is no canary', async () => {
  const rollout = { canary: {} }
  const path = paths.function(namespace, 'tested')
  const ran = async (good: number) => {
    const { value, version } = (await platform.store.get<FunctionDocument>(path))!
    await platform.store.update(path, { ...value, good }, version) // as the scheduler does
  }
  await deploy('tested', { rollout })
  await ran(1)
  await deploy('tested', { rollout: { ...rollout, shadow: {} } }, '; ctx.nowMs()')
  await deploy('tested', { limits: { stateMib: 32 } })
  await ran(3)
  const promote = { body: JSON.stringify({ to: 2 }), ...set }
  const promoted = await json<DeployAnswer>('POST', '/v1/functions/tested/promote', promote)
  assert.equal(promoted.noCanary, 'limits.stateMib has changed')
  await ran(2)
  const bytes = Buffer.from('model')
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  await json('PUT', `/v1/assets/${sha256}`, { body: bytes })
  const change = { body: JSON.stringify({ assets: { model: sha256 }, drain: true }), ...set }
  const changed = await json<DeployAnswer>('PATCH', '/v1/functions/tested/assets', change)
  assert.equal(changed.noCanary, 'the instances are to be drained')
  assert.equal((await json<DeployAnswer>('PATCH', '/v1/functions/tested/assets', change)).noCanary, undefined)
})

test('Deploy and scale refuse instances that would own no partition, unless an input is broadcast', async () => {
  const refused = async (...[method, path, request]: Parameters<Platform['call']>) => {
    const response = await platform.call(method, path, request)
    const { code, detail } = (await response.json()) as { code: string; detail: string }
    return [response.status, code, detail]
  }
  const scale = (name: string, instances: number) =>
    [`/v1/functions/${name}/instances`, { body: JSON.stringify({ instances }), ...set }] as const
  await deploy('many', { instances: 16 })
  assert.deepEqual(await refused('PUT', ...scale('many', 17)), [
    400,
    'ERR_TOO_MANY_INSTANCES',
    "Cannot give 'many' 17 instances: its inputs have 16 partitions, and one instance owns each, so 1 would get no record. Ask for 16 at most, or for larger instances ('concord fn scale many --cpus 2').",
  ])
  await assert.rejects(deploy('many', { instances: 20 }), /ERR_TOO_MANY_INSTANCES|20 instances/)
  assert.deepEqual(await json<ScaleAnswer>('PUT', ...scale('many', 3)), { instances: 3, pinned: false })
})

test('A change of resources names the partitions moved by hand that will return, also in a deploy', async () => {
  await deploy('moved', { resources: { memMib: 256 } })
  const path = paths.function(namespace, 'moved')
  const found = (await platform.store.get<FunctionDocument>(path))!
  await platform.store.update(path, { ...found.value, homes: { 3: 1 } }, found.version)
  const body = JSON.stringify({ memMib: 256 })
  const same = await json<DeployAnswer>('PATCH', '/v1/functions/moved/resources', { body, ...set })
  assert.equal(same.lapsed, undefined)
  const lapsed = [{ partition: 3, instance: 'moved-1' }]
  assert.deepEqual((await deploy('moved', { resources: { memMib: 300 } })).lapsed, lapsed)
  const other = { body: JSON.stringify({ memMib: 320 }), ...set }
  assert.deepEqual((await json<DeployAnswer>('PATCH', '/v1/functions/moved/resources', other)).lapsed, lapsed)
})

test('Inspect names the killed gateways that have sent to the function and whose account is incomplete', async () => {
  await deploy('counted', {})
  await deploy('beside', {})
  const inspect = (name = 'counted') => json<FunctionDetail>('GET', `/v1/functions/${name}`)
  assert.equal((await inspect()).settling, undefined)
  const path = paths.sender(namespace, 'gateway-gone')
  await platform.store.create(path, { schema: 1, state: 'open', atMs: Date.now() })
  assert.equal((await inspect()).settling, undefined, 'it has sent nothing')
  const live = (await platform.store.get<FunctionDocument>(paths.function(namespace, 'counted')))!.value
  const row = { stream: 'words', consumer: 'counted', sent: 9, acked: 8, dropped: {}, unaccounted: 0 }
  await platform.store.create(paths.sent(namespace, 'gateway-gone', 'words'), {
    schema: 1,
    rows: [{ ...row, createdAtMs: live.createdAtMs }],
  })
  assert.deepEqual((await inspect()).settling, ['gateway-gone'])
  assert.equal((await inspect('beside')).settling, undefined)
  const found = (await platform.store.get(path))!
  await platform.store.update(path, { schema: 1, state: 'over', atMs: Date.now() }, found.version)
  assert.equal((await inspect()).settling, undefined)
})

test('Deploy and a change of resources say if memory does not hold what the limits allow', async () => {
  assert.equal((await deploy('roomy', {})).tight, undefined, 'the defaults add up')
  const resources = { memMib: 200 }
  assert.deepEqual((await deploy('roomy', { resources })).tight, { memMib: 200, enough: 256 })
  const tight = async (manifest: object) => (await deploy('roomy', { resources, ...manifest })).tight
  assert.equal(await tight({ checkpoint: false }), undefined, 'nothing copies its state')
  assert.equal(await tight({ limits: { stateMib: 36 } }), undefined)
  assert.deepEqual(await tight({ limits: { heapMib: 65, stateMib: 36 } }), { memMib: 200, enough: 201 })
  const patch = (memMib: number) =>
    json<DeployAnswer>('PATCH', '/v1/functions/roomy/resources', { body: JSON.stringify({ memMib }), ...set })
  assert.equal((await patch(201)).tight, undefined)
  assert.deepEqual((await patch(190)).tight, { memMib: 190, enough: 201 })

  const send = async (bytes: Buffer) => {
    const hash = createHash('sha256').update(bytes).digest('hex')
    await json('PUT', `/v1/assets/${hash}`, { body: bytes })
    return hash
  }
  const words = await send(Buffer.from('the of'))
  assert.equal((await deploy('worded', {}, '', { words })).tight, undefined, 'it is small')
  const sha256 = await send(Buffer.alloc(2 ** 21, 'x'))
  const assets = { 'a.bin': sha256, 'same.bin': sha256 }
  assert.deepEqual((await deploy('laden', {}, '', assets)).tight, { memMib: 256, enough: 258 })
  assert.equal((await deploy('laden', { resources: { memMib: 258 } })).tight, undefined)
  const resized = { body: JSON.stringify({ memMib: 257 }), ...set }
  const { tight: left } = await json<DeployAnswer>('PATCH', '/v1/functions/laden/resources', resized)
  assert.deepEqual(left, { memMib: 257, enough: 258 }, 'it keeps its assets')
})
