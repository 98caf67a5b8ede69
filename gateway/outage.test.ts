import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openStore } from '../infra/store/index.ts'
import { startZooKeeper } from '../infra/zookeeper/index.ts'
import { sourceOf, startOwner, startPlatform, until } from './testing/platform.ts'

test('while ZooKeeper is away records go on and deploys are answered 503; then all works again, without a restart', async (t) => {
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
