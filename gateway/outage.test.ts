import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openBundles } from '../infra/bundles/index.ts'
import { connectBus } from '../infra/bus/index.ts'
import { endNatsServer, startNatsServer } from '../infra/nats/index.ts'
import { openStore } from '../infra/store/index.ts'
import { startZooKeeper } from '../infra/zookeeper/index.ts'
import { sourceOf, startOwner, startPlatform, until } from './testing/platform.ts'

test('while ZooKeeper is away records flow and deploys get 503; afterwards all works again without a restart', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-outage-'))
  let zookeeper = await startZooKeeper({ dir })
  const url = `zk://${zookeeper.connect}/concord`
  const store = await openStore(
    { url, user: 'concord', password: 'secret', sessionTimeoutMs: 4_000 },
    { patienceMs: 500 },
  )
  const platform = await startPlatform({ store })
  const { call } = platform
  t.after(async () => {
    await platform.close()
    await store.close()
    await zookeeper.stop('SIGKILL')
    await rm(dir, { recursive: true, force: true })
  })
  const deploy = (name: string) => call('POST', '/v1/functions', { body: sourceOf(name, ['lines'], []) })
  await until('the first deploy is taken', async () => (await deploy('first')).status === 200)
  const owner = startOwner(platform.wire, 'first', 'lines')
  t.after(() => owner.close())
  const publish = async (count: number) => {
    const body = Array.from({ length: count }, (_, i) => JSON.stringify({ key: `${i}`, value: 'v' })).join(
      '\n',
    )
    const response = await call('POST', '/v1/streams/lines/records', { body })
    assert.deepEqual([response.status, await response.json()], [200, { accepted: count }])
  }
  await publish(100)
  await until('they are processed', () => owner.processed() === 100)

  const { port } = zookeeper
  await zookeeper.stop('SIGKILL')
  const refused = await deploy('second')
  assert.equal(refused.status, 503)
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  assert.equal(((await refused.json()) as { code: string }).code, 'ERR_STORE_UNAVAILABLE')
  assert.equal((await call('GET', '/readyz')).status, 503)
  assert.equal((await call('GET', '/v1/functions')).status, 200, 'what it knew is still told')
  await publish(100)
  await until('they are processed', () => owner.processed() === 200)

  zookeeper = await startZooKeeper({ dir, port })
  await until('deploys are taken again', async () => (await deploy('second')).status === 200)
  const functions = (await (await call('GET', '/v1/functions')).json()) as { functions: { name: string }[] }
  assert.deepEqual(functions.functions.map(({ name }) => name).sort(), ['first', 'second'])
})

test('a gateway that hears nobody over NATS says that of itself, and calls nobody else silent', async (t) => {
  const platform = await startPlatform()
  const { call, nats } = platform
  t.after(async () => {
    process.kill(nats.pid, 'SIGCONT')
    await platform.close()
  })
  assert.equal((await call('POST', '/v1/functions', { body: sourceOf('first', ['lines'], []) })).status, 200)
  const look = async (path: string) => (await (await call('GET', path)).json()) as { unheard?: string }
  const looks = () => Promise.all(['/v1/functions/first/why', '/v1/streams/lines'].map(look))
  for (const { unheard } of await looks()) assert.equal(unheard, undefined)
  process.kill(nats.pid, 'SIGSTOP')
  await until('both say so', async () => (await looks()).every(({ unheard }) => unheard !== undefined))
  for (const { unheard } of await looks())
    assert.match(
      unheard!,
      /^this gateway has heard nothing over NATS for \d s, not even itself: what is shown is from before$/,
    )
  process.kill(nats.pid, 'SIGCONT')
  await until('it hears again', async () => (await looks()).every(({ unheard }) => unheard === undefined))
})

test('a gateway whose JetStream hangs on a full disk says so, takes records, and is ready again after a restart', async (t) => {
  const disk = await mkdtemp(join(tmpdir(), 'concord-jetstream-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    return t.diagnostic('no disk could be mounted here: not tried')
  }
  const platform = await startPlatform({}, disk)
  const { call, nats } = platform
  const dir = join(disk, (await readdir(disk))[0]!, 'nats')
  const culprit = await connectBus({ url: nats.url, name: 'culprit' })
  t.after(async () => {
    await culprit.close()
    await endNatsServer(dir)
    await platform.close()
    execFileSync('umount', ['-l', disk])
    await rm(disk, { recursive: true })
  })
  assert.equal((await call('POST', '/v1/functions', { body: sourceOf('first', ['lines'], []) })).status, 200)
  const look = async (path: string) => (await (await call('GET', path)).json()) as { noJetStream?: string }
  const looks = () => Promise.all(['/v1/functions/first/why', '/v1/streams/lines'].map(look))
  for (const { noJetStream } of await looks()) assert.equal(noJetStream, undefined)
  const bundles = await openBundles(culprit, 1_000)
  await writeFile(join(disk, 'filler'), Buffer.alloc(64 * 1024 * 1024)).catch(() => {})
  await assert.rejects(bundles.put(Buffer.alloc(500_000)), { code: 'ERR_BUNDLE_STORE' })
  await until('both say so', async () =>
    (await looks()).every(({ noJetStream = '' }) =>
      /^JetStream has not answered this gateway for \d+ s/.test(noJetStream),
    ),
  )
  const ready = await call('GET', '/readyz')
  assert.equal(ready.status, 503)
  assert.match(await ready.text(), /Not ready: JetStream does not answer \(.+\)\. Is there room/)
  const metrics = await (await call('GET', '/metrics')).text()
  const up = metrics.matchAll(/^concord_gateway_backend_up\{backend="(\w+)".*\} (\d)$/gm)
  assert.deepEqual(Object.fromEntries([...up].map(([, backend, value]) => [backend, value])), {
    nats: '1',
    jetstream: '0',
    store: '1',
  })
  const body = '{"key":"a","value":"v"}'
  assert.equal((await call('POST', '/v1/streams/lines/records', { body })).status, 200)

  await rm(join(disk, 'filler'))
  await nats.stop('SIGKILL')
  await startNatsServer({ dir, port: nats.port })
  await until('it is ready again', async () => (await call('GET', '/readyz')).status === 200)
  await until('it says so', async () => (await looks()).every(({ noJetStream }) => noJetStream === undefined))
})

test('a leader cut off from ZooKeeper learns of its successor over NATS: each raw record is accepted once', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-ingest-'))
  const zookeeper = await startZooKeeper({ dir })
  const open = () =>
    openStore(
      {
        url: `zk://${zookeeper.connect}/concord`,
        user: 'concord',
        password: 'secret',
        sessionTimeoutMs: 4_000,
      },
      { patienceMs: 60_000 },
    )
  const store = await open()
  const platform = await startPlatform({ store })
  const { call, nc, wire } = platform
  const otherStore = await open()
  t.after(async () => {
    for (const client of clientsOf(process.pid)) process.kill(client, 'SIGCONT')
    await platform.close()
    await Promise.all([store.close(), otherStore.close()])
    await zookeeper.stop('SIGKILL')
    await rm(dir, { recursive: true, force: true })
  })
  await call('PUT', '/v1/streams/lines')
  await call('POST', '/v1/functions', { body: sourceOf('reader', ['lines'], []) })
  const owner = startOwner(wire, 'reader', 'lines')
  t.after(() => owner.close())
  const send = (count: number) => {
    for (let i = 0; i < count; i++) nc.publish('concord.test.in.lines', `${i}`)
  }
  const leads = (epoch: number) =>
    platform.logged.some((line) => leading.test(line) && JSON.parse(line).epoch === epoch)
  await until('the first leads', () => leads(1))
  send(100)
  await until('they are processed', () => owner.processed() === 100)

  await platform.another({ store: otherStore })
  const [client] = clientsOf(process.pid)
  process.kill(client!, 'SIGSTOP') // its connection lives, and it says nothing: cut off
  await until('the other leads', () => leads(2))
  await until('the first has heard of it', () => platform.logged.some((line) => line.includes('no more')))
  send(100)
  await until('they are processed', () => owner.processed() >= 200)
  send(1)
  await until('and one behind them', () => owner.processed() >= 201)
  assert.equal(owner.processed(), 201)
})

const leading = /leads ingest-test"/

/** The ZooKeeper client processes of this one, the oldest first, as the kernel lists them; pids begin anew when they have run out. */
function clientsOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return children
    .map(Number)
    .filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('client-process'))
}
