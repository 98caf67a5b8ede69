import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { Objm } from '@nats-io/obj'
import { connectBus } from '../bus/wire/connect.ts'
import {
  endNatsServer,
  type NatsServerOptions,
  type NatsUsers,
  natsRoles,
  startNatsServer,
} from '../nats/index.ts'
import { openBundles } from './index.ts'

const stream = 'OBJ_concord-bundles'

async function setUp(t: TestContext, options: Partial<NatsServerOptions> = {}, timeoutMs = 10_000) {
  const root = await mkdtemp(join(tmpdir(), 'concord-bundles-'))
  const dir = options.dir ?? root
  const server = await startNatsServer({ port: 0, ...options, dir })
  const nc = await connectBus({ url: server.url, name: 'test', ...options.users?.gateway })
  t.after(async () => {
    await nc.close()
    await endNatsServer(dir)
    await rm(root, { recursive: true })
  })
  return { dir, server, nc, bundles: await openBundles(nc, timeoutMs) }
}

/** Runs `use` on a disk of a few megabytes. @returns False where none may be mounted: only the superuser may. */
async function onSmallDisk(use: (disk: string) => Promise<void>): Promise<boolean> {
  const disk = await mkdtemp(join(tmpdir(), 'concord-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    await rm(disk, { recursive: true })
    return false
  }
  try {
    await use(disk)
  } finally {
    await endNatsServer(join(disk, 'nats'))
    execFileSync('umount', ['-l', disk])
    await rm(disk, { recursive: true })
  }
  return true
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('Bundles keeps bytes of any size under their hash', async (t) => {
  const { nc, bundles } = await setUp(t)
  for (const size of [0, 1, 131_072, 131_073, 3_000_000]) {
    const bytes = randomBytes(size)
    assert.equal(await bundles.has(sha256(bytes)), false)
    assert.equal(await bundles.put(bytes), sha256(bytes))
    assert.equal(await bundles.has(sha256(bytes)), true)
    assert.deepEqual(Buffer.from(await bundles.get(sha256(bytes))), bytes)
    const byNats = await (await new Objm(jetstream(nc)).create('concord-bundles')).getBlob(sha256(bytes))
    assert.deepEqual(Buffer.from(byNats ?? []), bytes, "NATS's own client reads it too")
  }
})

test('Bundles.put of the same bytes stores them once, however many callers there are', async (t) => {
  const { nc, bundles } = await setUp(t)
  const bytes = randomBytes(400_000)
  const names = await Promise.all(Array.from({ length: 5 }, () => bundles.put(bytes)))
  assert.deepEqual(new Set(names), new Set([sha256(bytes)]))
  await bundles.put(bytes)
  const { state } = await (await jetstreamManager(nc)).streams.info(stream)
  assert.equal(state.messages, 4 + 1) // 400,000 bytes in parts of 128 KiB, and what names them
})

test('Bundles.get reports a missing bundle and a damaged one', async (t) => {
  const { nc, bundles } = await setUp(t)
  await assert.rejects(bundles.get('0'.repeat(64)), { code: 'ERR_BUNDLE_MISSING' })
  const bytes = randomBytes(300_000)
  const name = await bundles.put(bytes)
  await assert.rejects(bundles.get('0'.repeat(64)), { code: 'ERR_BUNDLE_MISSING' })

  const manager = await jetstreamManager(nc)
  await manager.streams.deleteMessage(stream, 2)
  await assert.rejects(bundles.get(name), { code: 'ERR_BUNDLE_CORRUPT' })
  await bundles.put(bytes) // repairs it (B6)
  assert.deepEqual(Buffer.from(await bundles.get(name)), bytes)

  const store = await new Objm(jetstream(nc)).create('concord-bundles')
  await store.putBlob({ name }, randomBytes(300_000))
  await assert.rejects(bundles.get(name), { code: 'ERR_BUNDLE_CORRUPT' })
  await bundles.put(bytes)
  assert.deepEqual(Buffer.from(await bundles.get(name)), bytes)
})

test('Bundles.remove leaves nothing of it behind', async (t) => {
  const { nc, bundles } = await setUp(t)
  const [kept, gone] = [await bundles.put(randomBytes(10)), await bundles.put(randomBytes(300_000))]
  await bundles.remove(gone)
  await bundles.remove(gone)
  assert.deepEqual([await bundles.has(kept), await bundles.has(gone)], [true, false])
  assert.equal((await (await jetstreamManager(nc)).streams.info(stream)).state.messages, 2)
})

test('Bundles.removeUntouched removes a listed bundle unless it was put again since', async (t) => {
  const { nc, bundles } = await setUp(t)
  const later = await openBundles(nc, 10_000, () => Date.now() + 3_600_000)
  const bytes = randomBytes(300_000)
  const name = await bundles.put(bytes)
  await bundles.put(Buffer.from('another'))
  const shown = async () => (await bundles.list()).find(({ sha256 }) => sha256 === name)!
  const first = await shown()
  assert.ok(Math.abs(Date.now() - first.touchedMs) < 60_000)
  assert.equal((await bundles.list()).length, 2)
  await bundles.put(bytes) // a moment later: not worth a write
  assert.deepEqual(await shown(), first)
  await later.put(bytes) // an hour later
  assert.equal(await bundles.removeUntouched(first), false)
  assert.deepEqual(Buffer.from(await bundles.get(name)), bytes)
  const again = await shown()
  assert.ok(again.revision > first.revision && again.touchedMs >= first.touchedMs)
  assert.equal(await bundles.removeUntouched(again), true)
  assert.equal(await bundles.removeUntouched(again), false)
  assert.equal(await bundles.has(name), false)
  assert.deepEqual((await bundles.list()).length, 1)
})

test('Bundles survives a kill of nats-server', async (t) => {
  const { dir, server, bundles } = await setUp(t)
  const bytes = randomBytes(300_000)
  const name = await bundles.put(bytes)
  await server.stop('SIGKILL')
  await startNatsServer({ dir, port: server.port })
  assert.deepEqual(Buffer.from(await bundles.get(name)), bytes)
})

test('Bundles: a runner may only read', async (t) => {
  const users = Object.fromEntries(
    natsRoles.map((role) => [role, { user: role, password: role }]),
  ) as unknown as NatsUsers
  const { server, bundles } = await setUp(t, { users })
  const bytes = randomBytes(300_000)
  const name = await bundles.put(bytes)
  const nc = await connectBus({ url: server.url, name: 'runner', ...users.runner })
  t.after(() => nc.close())
  const asRunner = await openBundles(nc)
  assert.equal(await asRunner.has(name), true)
  assert.deepEqual(Buffer.from(await asRunner.get(name)), bytes)
  await assert.rejects(asRunner.put(randomBytes(10)), { code: 'ERR_BUNDLE_STORE', message: /permission/i })
  await assert.rejects(asRunner.remove(name), { code: 'ERR_BUNDLE_STORE', message: /permission/i })
  assert.equal(await bundles.has(name), true)
})

test('Bundles.put on a full store says so, leaves nothing behind, and works again after something was removed', async (t) => {
  const { nc, bundles } = await setUp(t, { storeBytesMax: 1_000_000 })
  const kept = randomBytes(600_000)
  const name = await bundles.put(kept)
  const manager = await jetstreamManager(nc)
  const usedBytes = (await manager.getAccountInfo()).storage
  const more = randomBytes(600_000)
  for (let i = 0; i < 3; i++) {
    await assert.rejects(bundles.put(more), {
      code: 'ERR_BUNDLE_STORE',
      message: /disk of nats-server is full/,
    })
    assert.equal((await manager.getAccountInfo()).storage, usedBytes) // B4
  }
  assert.deepEqual(Buffer.from(await bundles.get(name)), kept)
  await bundles.remove(name)
  assert.equal(await bundles.put(more), sha256(more))
})

test('Bundles.put ends with an error in time when the server is frozen', async (t) => {
  const { server, bundles } = await setUp(t, {}, 1_000)
  await bundles.put(randomBytes(100))
  process.kill(server.pid, 'SIGSTOP')
  await assert.rejects(bundles.put(randomBytes(100)), {
    code: 'ERR_BUNDLE_STORE',
    message: /is nats-server up/i,
  })
  process.kill(server.pid, 'SIGCONT')
})

test('Bundles.put ends with an error in time when the disk itself is full; a restart heals it', async (t) => {
  const tried = await onSmallDisk(async (disk) => {
    const dir = join(disk, 'nats')
    const { server, bundles } = await setUp(t, { dir }, 3_000)
    const kept = randomBytes(100)
    const name = await bundles.put(kept)
    await writeFile(join(disk, 'filler'), Buffer.alloc(8 * 1024 * 1024)).catch(() => {})
    const more = randomBytes(700_000)
    await assert.rejects(bundles.put(more), { code: 'ERR_BUNDLE_STORE', message: /room on its disk/ })

    await rm(join(disk, 'filler'))
    await server.stop('SIGKILL')
    const restarted = await startNatsServer({ dir, port: server.port })
    assert.equal(await bundles.put(more), sha256(more))
    assert.deepEqual(Buffer.from(await bundles.get(name)), kept)
    await restarted.stop()
  })
  if (!tried) t.diagnostic('no disk could be mounted here: not tried')
})
