import assert from 'node:assert/strict'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { openBundles } from './bundles/index.ts'
import { connectBus, type NatsConnection } from './bus/index.ts'
import { patiently, readLatest } from './jetstream.ts'
import { endNatsCluster, endNatsServer, planNatsCluster, startNatsServer } from './nats/index.ts'
import { ensureStream, makeStream } from './streams.ts'

const settings = { name: 'kept', subjects: ['kept'], allow_direct: true }
/** What may be silent for a while: servers elect one. */
const patient = <T>(call: () => Promise<T>) =>
  patiently({ call, timeoutMs: 60_000, failed: (cause) => cause as Error })

async function connected(t: TestContext, url: string): Promise<NatsConnection> {
  const nc = await connectBus({ url, name: 'test' })
  t.after(() => nc.close())
  return nc
}

async function folder(t: TestContext, end: (dir: string) => Promise<unknown>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-streams-'))
  t.after(async () => {
    await end(dir)
    await rm(dir, { recursive: true })
  })
  return dir
}

async function copies(nc: NatsConnection): Promise<number> {
  return (await (await jetstreamManager(nc, { checkAPI: false })).streams.info('kept')).config.num_replicas
}

test('ensureStream on one server makes one copy, and says why if three were requested (ST1)', async (t) => {
  const { url } = await startNatsServer({ dir: await folder(t, endNatsServer), port: 0 })
  const nc = await connected(t, url)
  await assert.rejects(
    ensureStream(nc, settings, 3),
    /Cannot keep 3 copies of kept: .* set nats\.replicas to less/,
  )
  assert.equal(await ensureStream(nc, settings), true)
  assert.equal(await ensureStream(nc, { ...settings, max_msgs: 7 }), true)
  const manager = await jetstreamManager(nc)
  const { config } = await manager.streams.info('kept')
  assert.deepEqual([config.num_replicas, config.max_msgs], [1, 7])
  await makeStream(nc, settings)
  assert.equal((await manager.streams.info('kept')).config.max_msgs, 7)
})

test('ensureStream on three servers makes three copies, later if one was away, and reports a missing quorum (ST1, ST2, ST3)', {
  timeout: 240_000,
}, async (t) => {
  const dir = await folder(t, endNatsCluster)
  const plan = await planNatsCluster({ dir, servers: 3 })
  const first = [await plan.start(0), await plan.start(1)]
  const nc = await connected(t, plan.url)
  assert.equal(await patient(() => ensureStream(nc, settings)), false)
  assert.equal(await copies(nc), 1)
  await jetstream(nc).publish('kept', 'what was there')

  await plan.start(2)
  const raised = () =>
    patient(async () => {
      while (!(await ensureStream(nc, settings))) await sleep(100)
    })
  await raised()
  assert.equal(await copies(nc), 3)
  await patient(() => ensureStream(nc, settings, 1))
  assert.equal(await copies(nc), 1)
  await raised()
  const manager = await jetstreamManager(nc, { checkAPI: false })
  const text = async () => (await readLatest(manager, 'kept', { last_by_subj: 'kept' }))?.string()
  assert.equal(await patient(text), 'what was there')
  // What nobody has written to since, two servers that end now may take along: docs/design/0017-nats-cluster.md, known limits.
  await patient(() => jetstream(nc).publish('kept', 'and more'))

  const bundles = await openBundles(nc, 60_000)
  const sha256 = await bundles.put(Buffer.from('code'))
  for (const server of first) await server.stop('SIGKILL')
  const quick = await openBundles(nc, 500)
  await assert.rejects(quick.put(Buffer.from('more code')), {
    code: 'ERR_BUNDLE_STORE',
    message: /no quorum|more than half of them/,
  })
  for (const index of [0, 1]) await plan.start(index)
  assert.equal(String(Buffer.from(await bundles.get(sha256))), 'code')
  while ((await patient(text)) !== 'and more') await sleep(100) // whoever leads first may have to catch up
})

test('three servers whose folder was moved, or restored elsewhere, have what they stored', {
  timeout: 240_000,
}, async (t) => {
  const places = ['before', 'after'] as const
  const dir = await folder(t, (root) => Promise.all(places.map((place) => endNatsCluster(join(root, place)))))
  const [first, second] = places.map((place) => join(dir, place)) as [string, string]
  const start = async (at: string): Promise<NatsConnection> => {
    const plan = await planNatsCluster({ dir: at, servers: 3 })
    await Promise.all([0, 1, 2].map(plan.start))
    return await connected(t, plan.url)
  }
  const before = await start(first)
  await patient(() => ensureStream(before, settings))
  await patient(() => jetstream(before).publish('kept', 'what was there'))
  await before.close()
  await endNatsCluster(first)

  await rename(first, second)
  const manager = await jetstreamManager(await start(second), { checkAPI: false })
  const { state } = await patient(() => manager.streams.info('kept'))
  assert.equal(state.messages, 1)
})
