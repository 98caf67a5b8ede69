import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import fc from 'fast-check'
import { connectBus } from '../bus/wire/connect.ts'
import { endNatsServer, type NatsServerOptions, startNatsServer } from '../nats/index.ts'
import { hasHash, openAssets, openBundles } from './index.ts'

const stream = 'OBJ_concord-bundles'
const hourMs = 3_600_000

async function setUp(t: TestContext, options: Partial<NatsServerOptions> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'concord-assets-'))
  const server = await startNatsServer({ port: 0, dir, ...options })
  const nc = await connectBus({ url: server.url, name: 'test' })
  t.after(async () => {
    await nc.close()
    await endNatsServer(dir)
    await rm(dir, { recursive: true })
  })
  const messages = async () => (await (await jetstreamManager(nc)).streams.info(stream)).state.messages
  return { dir, server, nc, messages, assets: await openAssets(nc), bundles: await openBundles(nc) }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

test('Assets returns the bytes that were put, in whatever chunks they came', async (t) => {
  const { assets, bundles } = await setUp(t)
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.nat(300_000), fc.constantFrom(0, 131_071, 131_072, 131_073, 262_144)),
      fc.integer({ min: 1000, max: 200_000 }),
      async (bytes, chunk) => {
        const content = randomBytes(bytes)
        const name = sha256(content)
        assert.equal(await assets.put(name, inChunks(content, chunk)), bytes)
        assert.equal(await assets.keep(name), bytes)
        const memory = await assets.fetch(name)
        assert.ok(content.equals(new Uint8Array(memory)))
        assert.equal(await hasHash(memory, name), true)
        assert.ok(content.equals(await bundles.get(name)), 'in the layout of bundles')
      },
    ),
    { numRuns: 25 },
  )
})

test('Assets.put refuses bytes that do not match the hash, fails if its source does, and leaves nothing behind', async (t) => {
  const { assets, messages } = await setUp(t)
  const content = randomBytes(2_000_000)
  const name = sha256(content)
  await assert.rejects(assets.put(name, inChunks(content.subarray(1), 50_000)), { code: 'ERR_ASSET_HASH' })
  async function* torn(): AsyncGenerator<Uint8Array> {
    yield* inChunks(content.subarray(0, 1_500_000), 50_000)
    throw new Error('cut off')
  }
  await assert.rejects(assets.put(name, torn()), /cut off/)
  assert.equal(await messages(), 0)
  assert.equal(await assets.keep(name), undefined)
  await assert.rejects(assets.fetch(name), { code: 'ERR_BUNDLE_MISSING' })
})

test('Assets.put of the same content by several callers stores it once, and each of them succeeds', async (t) => {
  const { assets, messages } = await setUp(t)
  const content = randomBytes(600_000)
  const name = sha256(content)
  const sizes = await Promise.all(
    Array.from({ length: 4 }, () => assets.put(name, inChunks(content, 70_000))),
  )
  assert.deepEqual(sizes, [600_000, 600_000, 600_000, 600_000])
  assert.equal(await messages(), 5 + 1) // in parts of 128 KiB, and what names them
  assert.equal(await assets.keep(name), 600_000)
})

test('Assets.fetch reports a torn asset, keep refuses it, and a put repairs it (AS5)', async (t) => {
  const { assets, nc, messages } = await setUp(t)
  const content = randomBytes(600_000)
  const name = sha256(content)
  await assets.put(name, inChunks(content, 70_000))
  await (await jetstreamManager(nc)).streams.deleteMessage(stream, 2)
  await assert.rejects(assets.fetch(name), { code: 'ERR_BUNDLE_CORRUPT' })
  assert.equal(await assets.keep(name), undefined)

  assert.equal(await assets.put(name, inChunks(content, 70_000)), 600_000)
  assert.ok(content.equals(new Uint8Array(await assets.fetch(name))))
  assert.equal(await assets.keep(name), 600_000)
  assert.equal(await messages(), 5 + 1, 'what was left of it is gone')
})

test('Assets.put repairs an asset with the right number of parts but wrong bytes', async (t) => {
  const { assets, nc } = await setUp(t)
  const content = randomBytes(300_000)
  const name = sha256(content)
  await assets.put(name, inChunks(content, 70_000))
  const manager = await jetstreamManager(nc)
  const { data, subject } = (await manager.streams.getMessage(stream, { seq: 2 }))!
  await manager.streams.deleteMessage(stream, 2)
  await jetstream(nc).publish(subject, data) // the same parts in another order
  await assert.rejects(assets.fetch(name), { code: 'ERR_BUNDLE_CORRUPT' })
  await assets.put(name, inChunks(content, 70_000))
  assert.ok(content.equals(new Uint8Array(await assets.fetch(name))))
})

test('Assets.put keeps its parts until it knows that those of another caller stay', async (t) => {
  const { nc, assets, bundles } = await setUp(t)
  const content = randomBytes(300_000)
  const name = sha256(content)
  await assets.put(name, inChunks(content, 70_000))
  const [idle] = await bundles.list()
  // The collector removes what was there just before the second put touches it.
  let collected: Promise<boolean> | undefined
  const request: typeof nc.request = async (subject, ...rest) => {
    if (subject.startsWith('$O.concord-bundles.M.')) {
      collected ??= bundles.removeUntouched(idle!)
      await collected
    }
    return await nc.request(subject, ...rest)
  }
  const watched = new Proxy(nc, {
    get: (target, property) => (property === 'request' ? request : Reflect.get(target, property)),
  })
  const anHourLater = await openAssets(watched, 10_000, () => Date.now() + hourMs)
  assert.equal(await anHourLater.put(name, inChunks(content, 70_000)), 300_000)
  assert.equal(await collected, true)
  assert.ok(content.equals(new Uint8Array(await assets.fetch(name))))
})

test('Assets.put on a full store says so and leaves nothing behind', async (t) => {
  const { assets, messages } = await setUp(t, { storeBytesMax: 1_000_000 })
  const content = randomBytes(3_000_000)
  await assert.rejects(assets.put(sha256(content), inChunks(content, 70_000)), {
    code: 'ERR_BUNDLE_STORE',
    message: /disk of nats-server is full/,
  })
  assert.equal(await messages(), 0)
})

test('Assets continues an upload in the middle of which nats-server was killed', async (t) => {
  const { assets, dir, server } = await setUp(t)
  const content = randomBytes(3_000_000)
  const name = sha256(content)
  async function* interrupted(): AsyncGenerator<Uint8Array> {
    yield* inChunks(content.subarray(0, 1_500_000), 50_000)
    await server.stop('SIGKILL')
    await startNatsServer({ dir, port: server.port })
    yield* inChunks(content.subarray(1_500_000), 50_000)
  }
  await assets.put(name, interrupted())
  assert.ok(content.equals(new Uint8Array(await assets.fetch(name))))
})

test('Bundles.removeTorn removes what unfinished uploads have left, and nothing else', async (t) => {
  const { assets, bundles, nc, messages } = await setUp(t)
  const kept = randomBytes(300_000)
  await assets.put(sha256(kept), inChunks(kept, 70_000))
  const { promise: never } = Promise.withResolvers<void>()
  async function* stuck(): AsyncGenerator<Uint8Array> {
    yield* inChunks(randomBytes(400_000), 400_000)
    await never
  }
  void assets.put('0'.repeat(64), stuck())
  while ((await messages()) < 3 + 1 + 3) await nc.flush()
  assert.equal(await bundles.removeTorn(Date.now() - hourMs), 0)
  assert.equal(await messages(), 3 + 1 + 3)
  assert.equal(await bundles.removeTorn(Date.now() + hourMs), 1)
  assert.equal(await messages(), 3 + 1)
  assert.ok(kept.equals(new Uint8Array(await assets.fetch(sha256(kept)))))
})

test('hasHash notices that shared memory has changed', async () => {
  const memory = new SharedArrayBuffer(3_000_000)
  const name = sha256(new Uint8Array(3_000_000))
  assert.equal(await hasHash(memory, name), true)
  new Uint8Array(memory)[2_999_999] = 1
  assert.equal(await hasHash(memory, name), false)
})
