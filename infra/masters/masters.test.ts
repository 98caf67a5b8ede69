import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ephemeralSequential } from '../store/zookeeper/client-protocol.ts'
import { Session } from '../store/zookeeper/session.ts'
import { startZooKeeper, type ZooKeeperServer } from '../zookeeper/index.ts'
import { joinMasters, parseMastersUrl, watchLeader } from './index.ts'

/** Longer than any of us stands still: a session that ends for that changes who leads. */
const sessionTimeoutMs = 20_000
const tickMs = 1_000

let dir: string
let server: ZooKeeperServer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'concord-masters-'))
  server = await startZooKeeper({ dir, tickMs })
})
after(async () => {
  await server?.stop('SIGKILL')
  await rm(dir, { recursive: true, force: true })
})

const infoOf = (port: number) => ({ address: { hostname: '127.0.0.1', ip: '127.0.0.1', port } })

/** Masters of one path, and who is told to lead. */
function scene(t: TestContext, path: string) {
  const at = parseMastersUrl(`zk://${server.connect}/${path}`)
  const said: string[] = []
  const told: string[] = []
  const log = { info: (text: string) => void said.push(text), warn: (text: string) => void said.push(text) }
  const watch = watchLeader({
    at,
    log,
    leads: (url) => told.push(url),
    failed: (error) => assert.fail(error),
  })
  t.after(() => watch.close())
  const until = async (what: string, look: () => boolean) => {
    for (const endMs = performance.now() + 60_000; !look(); await wait(10))
      assert.ok(performance.now() < endMs, `never: ${what}; told ${told}; said ${said}`)
  }
  return {
    ...{ at, said, told, until },
    async join(port: number) {
      const membership = joinMasters({ at, info: infoOf(port), sessionTimeoutMs, log })
      t.after(() => membership.leave())
      await membership.joined
      return membership
    },
  }
}

test('watchLeader waits for the first master, follows a new leader, and ignores standbys', async (t) => {
  const { at, said, told, until, join: enter } = scene(t, 'deep/er/mesos')
  await until('it says that nobody leads', () => said.some((text) => text.includes('no Mesos master leads')))
  const first = await enter(5051)
  await until('the first is told', () => told.length === 1)
  const second = await enter(5052)
  await enter(5053)
  const session = await Session.open({
    address: at,
    user: at.user,
    password: at.password,
    timeoutMs: sessionTimeoutMs,
    connectMs: 30_000,
  })
  t.after(() => session.close())
  await session.create(`${at.root}/log_replicas`, 0, session.ended)
  await first.leave()
  await until('the second is told', () => told.length === 2)
  await second.leave()
  await until('the third is told', () => told.length === 3)
  assert.deepEqual(
    told,
    [5051, 5052, 5053].map((port) => `http://127.0.0.1:${port}`),
  )
})

test('joinMasters says who leads: a leader that loses its session never leads again, and a standby follows', async (t) => {
  const at = parseMastersUrl(`zk://${server.connect}/contest`)
  const said: string[] = []
  const log = { info() {}, warn: (text: string) => void said.push(text) }
  const enter = async (port: number) => {
    const seen: string[] = []
    const membership = joinMasters({
      ...{ at, info: infoOf(port), sessionTimeoutMs: 6_000, log },
      leads: () => seen.push('leads'),
      follows: (url) => seen.push(url),
      lost: () => seen.push('lost'),
    })
    t.after(() => membership.leave())
    await until(`${port} knows its part`, () => seen.length === 1)
    return { membership, seen }
  }
  const until = async (what: string, look: () => boolean) => {
    for (const endMs = performance.now() + 60_000; !look(); await wait(10))
      assert.ok(performance.now() < endMs, `never: ${what}; said ${said}`)
  }
  const first = await enter(5051)
  const second = await enter(5052)
  const third = await enter(5053)
  assert.deepEqual(
    [first, second, third].map(({ seen }) => seen[0]),
    ['leads', ...Array(2).fill('http://127.0.0.1:5051')],
  )
  await first.membership.leave()
  await until('the second leads', () => second.seen.at(-1) === 'leads')
  await until('the third follows it', () => third.seen.at(-1) === 'http://127.0.0.1:5052')
  const { port } = server
  await server.stop('SIGKILL')
  await until('the leader knows that it is lost', () => second.seen.at(-1) === 'lost')
  server = await startZooKeeper({ dir, port, tickMs })
  await until('the third leads', () => third.seen.at(-1) === 'leads')
  assert.deepEqual(first.seen, ['leads'], 'who leaves has lost nothing')
})

test('watchLeader waits for a master that gives no address, and keeps the last leader while ZooKeeper is away', async (t) => {
  const { at, said, told, until, join: enter } = scene(t, 'mesos')
  await until('the node above is waited for', () => said.length === 1)
  const options = {
    address: at,
    user: at.user,
    password: at.password,
    timeoutMs: sessionTimeoutMs,
    connectMs: 30_000,
  }
  const session = await Session.open(options)
  t.after(() => session.close())
  await session.create(at.root, 0, session.ended)
  const node = await session.create(`${at.root}/json.info_`, ephemeralSequential, session.ended)
  await enter(5051)
  await session.set(node, Buffer.from('{"port": "none"}'), -1, session.ended)
  await until('it is complained of', () => said.some((text) => text.includes('does not say where it is')))
  await session.set(node, Buffer.from(JSON.stringify(infoOf(5050))), -1, session.ended)
  await until('it is told', () => told.length === 1)
  await session.delete(node, -1, session.ended)
  await until('the next one is told', () => told.length === 2)
  const { port } = server
  await server.stop('SIGKILL')
  server = await startZooKeeper({ dir, port, tickMs })
  await enter(5052) // a session of its own, so the server is back, and both others with it
  assert.deepEqual(told, ['http://127.0.0.1:5050', 'http://127.0.0.1:5051'])
})
