import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openAssets, openBundles } from '../../infra/bundles/index.ts'
import { connectBus } from '../../infra/bus/index.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { endNatsServer, startNatsServer } from '../../infra/nats/index.ts'
import type { AssetRef } from '../../sdk/manifest/assets.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { memoryOf } from '../process/test-memory.ts'
import { Sources } from './sources.ts'

const manifest = manifestSchema.parse({ name: 'scored' })

async function setUp(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'concord-sources-'))
  const { url } = await startNatsServer({ dir, port: 0 })
  const nc = await connectBus({ url, name: 'test' })
  t.after(async () => {
    await nc.close()
    await endNatsServer(dir)
    await rm(dir, { recursive: true })
  })
  const assets = await openAssets(nc)
  const bundles = await openBundles(nc)
  const bundleSha256 = await bundles.put(Buffer.from('code'))
  const warnings: string[] = []
  const held = { used: 0 }
  const sources = new Sources({
    bus: { url, name: 'sources' },
    memory: memoryOf(4, () => held.used),
    warn: (_fn, message) => warnings.push(message),
  })
  const put = async (bytes: Buffer): Promise<AssetRef> => {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return {
      sha256,
      bytes: await assets.put(
        sha256,
        (async function* () {
          yield bytes
        })(),
      ),
    }
  }
  const of = (version: number, named: Record<string, AssetRef>): FunctionAssignment => ({
    ...{ function: 'scored', version, bundleSha256, assets: named, manifest, streams: {}, groupings: {} },
  })
  return { sources, bundles, held, warnings, put, of }
}

test('Sources holds each content once, for any names and instances, until nothing refers to it', async (t) => {
  const { sources, put, of } = await setUp(t)
  const [model, list] = [randomBytes(300_000), randomBytes(1000)]
  const [one, two] = [await put(model), await put(list)]
  const fn = of(1, { model: one, same: one, list: two })
  const [first, second] = await Promise.all([sources.get(fn), sources.get(fn)])
  assert.equal(first.bundle, 'code')
  const memory = first.assets.get('model')!.memory
  assert.ok(model.equals(new Uint8Array(memory)))
  assert.ok(list.equals(new Uint8Array(first.assets.get('list')!.memory)))
  assert.equal(first.assets.get('same')!.memory, memory)
  assert.equal(second.assets.get('model')!.memory, memory)

  const next = of(2, { list: two })
  sources.keepOnly([next], [fn])
  assert.equal((await sources.get(fn)).assets.get('model')!.memory, memory, 'it is at work')
  sources.keepOnly([next], [next])
  assert.notEqual((await sources.get(fn)).assets.get('model')!.memory, memory)
})

test('Sources holds the code of a canary and of the version before until nothing refers to it', async (t) => {
  const { sources, bundles, of } = await setUp(t)
  const before = of(1, {})
  const canary = { ...of(2, {}), bundleSha256: await bundles.put(Buffer.from('next')) }
  for (const fn of [before, canary]) await sources.get(fn)
  for (const { bundleSha256 } of [before, canary]) await bundles.remove(bundleSha256)
  const rules = manifestSchema.parse({ name: 'scored', rollout: { canary: {} } }).rollout!.canary!
  const wanted = { ...before, canary: { ...canary, step: 0, percent: 1, rules } }
  sources.keepOnly([wanted], [before])
  for (const [fn, code] of [
    [before, 'code'],
    [canary, 'next'],
    [before, 'code'],
  ] as const)
    assert.equal((await sources.get(fn)).bundle, code, 'it was not fetched again')
  sources.keepOnly([before], [before])
  await assert.rejects(sources.get(canary), { code: 'ERR_BUNDLE_MISSING' })
})

test('Sources does not give an asset that an instance has overwritten to another instance (SO1)', async (t) => {
  const { sources, warnings, put, of } = await setUp(t)
  const model = randomBytes(300_000)
  const fn = of(1, { model: await put(model) })
  const dirty = (await sources.get(fn)).assets.get('model')!.memory
  new Uint8Array(dirty)[17]! ^= 1
  const clean = (await sources.get(fn)).assets.get('model')!.memory
  assert.notEqual(clean, dirty)
  assert.ok(model.equals(new Uint8Array(clean)))
  assert.match(warnings.join(), /has written to asset 'model'/)
})

test('Sources fetches nothing that would make the process exceed its memory bound (SO2)', async (t) => {
  const { sources, held, put, of } = await setUp(t)
  const fn = of(3, { model: await put(randomBytes(1_500_000)) })
  held.used = 2_400_000
  await assert.rejects(sources.get(fn), {
    code: 'ERR_MEMORY',
    message:
      /Cannot hold asset 'model' of 'scored' v3, 2 MiB: the runner uses 2 MiB .* of its bound of 4.* --mem \d+/,
  })
  held.used = 1_500_000
  assert.equal((await sources.get(fn)).assets.size, 1, 'the next start tries again')
})

test('Sources holds a small asset in a busy process too, up to its bound (SO2)', async (t) => {
  const { sources, held, put, of } = await setUp(t)
  const fn = of(4, { model: await put(randomBytes(50)) })
  held.used = 4 * 2 ** 20 - 49
  await assert.rejects(sources.get(fn), { message: /v4, 50 bytes: the runner uses 4 MiB/ })
  held.used = 4 * 2 ** 20 - 50
  assert.equal((await sources.get(fn)).assets.size, 1)
})
