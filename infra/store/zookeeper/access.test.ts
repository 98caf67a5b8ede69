import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { paths } from '../documents.ts'
import { documentBytesMax } from '../limits.ts'
import { openStore } from '../open.ts'
import { parseAddress } from './address.ts'
import { findClientModule } from './client-module.ts'
import { decodeDocument } from './document.ts'
import { login, opened, useServer } from './testing.ts'

const zk = useServer()

test('parseAddress reads hosts, ports and the root, and says what it expected otherwise', () => {
  assert.deepEqual(parseAddress('zk://a,b.c:3000,[::1]:4,10.0.0.1/concord/x'), {
    servers: [
      { host: 'a', port: 2181 },
      { host: 'b.c', port: 3000 },
      { host: '::1', port: 4 },
      { host: '10.0.0.1', port: 2181 },
    ],
    root: '/concord/x',
  })
  for (const bad of [
    'zk://a',
    'zk://a/',
    'zk:///x',
    'zk://a,/x',
    'zk://a:0/x',
    'zk://a:70000/x',
    'zk://a b/x',
    'zk://a/..',
    'zk://a/zookeeper',
  ])
    assert.throws(() => parseAddress(bad), { code: 'ERR_STORE_URL', message: /expected zk:\/\/HOST/ }, bad)
  assert.throws(
    () => parseAddress('zk://me:hunter2@a/x'),
    (error: Error) =>
      /store\.user and store\.password/.test(error.message) && !error.message.includes('hunter2'),
  )
})

test('openStore says what is missing or wrong: the credentials, or the parent node', async (t) => {
  const root = zk.freshRoot()
  const url = `zk://${zk.server.connect}${root}`
  await opened(t, zk.server.connect, root)
  await assert.rejects(openStore(url), { code: 'ERR_STORE_REFUSED', message: /CONCORD_STORE_USER/ })
  for (const wrong of [
    { user: 'concord', password: 'wrong' },
    { user: 'other', password: 'secret' },
  ])
    await assert.rejects(openStore({ url, ...wrong }), {
      code: 'ERR_STORE_REFUSED',
      message: /belongs to others than store\.user with store\.password/,
    })
  await assert.rejects(openStore({ url: `${url}-not-there/x`, ...login }), {
    code: 'ERR_STORE_URL',
    message: /there is no \/store-\d+-not-there\. Make that first/,
  })
})

test('ZooKeeperStore leaves no node that other users may read or write', async (t) => {
  const root = zk.freshRoot()
  const store = await opened(t, zk.server.connect, root)
  const leadership = await store.lead('scheduler', new AbortController().signal)
  await leadership.store.create('/a/b/c', 1)
  await leadership.seal()
  await store.create('/a', 1)
  await store.remove('/a') // stays as a place above the others
  await store.update('/a/b/c', 2, 0)
  const anonymous = await walk(t, root)
  assert.deepEqual(anonymous, { nodes: 0, open: [], refused: [root] })
  const ours = await walk(t, root, `${login.user}:${login.password}`)
  assert.deepEqual([ours.open, ours.refused], [[], []])
  assert.ok(ours.nodes >= 8, 'root, docs, a, b, c, leaders, scheduler and its one candidate')
})

test('ZooKeeperStore ignores a node whose ACL was not set, and finishes one that a dead writer has left', async (t) => {
  const root = zk.freshRoot()
  const store = await opened(t, zk.server.connect, root)
  await store.create('/a/b', 1)
  const client = await rawClient(t, `${login.user}:${login.password}`)
  await client('a_create', `${root}/docs/a/left`, Buffer.alloc(0), 0)
  await client(
    'a_create',
    `${root}/docs/a/planted`,
    Buffer.from('{"format":1,"base":0,"write":"x","value":1}'),
    0,
  )
  assert.deepEqual([await store.get('/a/left'), await store.get('/a/planted')], [undefined, undefined])
  assert.equal(await store.create('/a/left', 'mine'), 0)
  assert.deepEqual(await store.get('/a/left'), { value: 'mine', version: 0 })
})

test('ZooKeeperStore refuses a document that is too large before it writes anything', async (t) => {
  const root = zk.freshRoot()
  const store = await opened(t, zk.server.connect, root)
  await assert.rejects(store.create('/large', 'x'.repeat(documentBytesMax)), {
    code: 'ERR_STORE_TOO_LARGE',
    message: /Cannot store 65538 bytes at \/large: a document has at most 65536/,
  })
  assert.deepEqual(await store.list('/'), [])
})

test('a store of another build is refused with a message that says so', async (t) => {
  const settings = { url: `zk://${zk.server.connect}${zk.freshRoot()}`, ...login }
  const store = await openStore(settings)
  t.after(() => store.close())
  await store.update(paths.schema, { schema: 2 }, 0)
  await assert.rejects(openStore(settings), {
    code: 'ERR_STORE_SCHEMA',
    message: /a later build wrote it \(schema 2/,
  })
  await store.update(paths.schema, { schema: 0 }, 1)
  await assert.rejects(openStore(settings), { code: 'ERR_STORE_SCHEMA', message: /before the first release/ })
  const later = Buffer.from(JSON.stringify({ format: 2, value: 1 }))
  assert.throws(() => decodeDocument('/a', later), {
    code: 'ERR_STORE_SCHEMA',
    message: /format 2, this build knows 1/,
  })
  assert.throws(() => decodeDocument('/a', Buffer.from('\0')), { code: 'ERR_STORE_FAILED' })
})

type Raw = (method: string, ...args: unknown[]) => Promise<unknown[]>

/** The native client itself, in a process of its own like ours. */
async function rawClient(t: TestContext, login?: string): Promise<Raw> {
  const child = fork(new URL('./client-process.ts', import.meta.url), {
    serialization: 'advanced',
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  t.after(() => child.disconnect())
  const beat = setInterval(() => child.send({ kind: 'beat' }), 500)
  t.after(() => clearInterval(beat))
  let calls = 0
  const waiting = new Map<number, (answer: unknown[]) => void>()
  child.on('message', (message: { kind: string; id: number; rc: number; results: unknown[] }) => {
    if (message.kind === 'answer') waiting.get(message.id)?.([message.rc, ...message.results])
  })
  child.send({ kind: 'open', module: findClientModule(), connect: zk.server.connect, timeoutMs: 6_000 })
  await once(child, 'message')
  const call: Raw = (method, ...args) =>
    new Promise((resolve) => {
      waiting.set(++calls, resolve)
      child.send({ kind: 'call', id: calls, method, args })
    })
  if (login !== undefined) await call('add_auth', 'digest', login)
  return call
}

/** All nodes from `top` down: how many, which are open to the world, and which we may not read. */
async function walk(t: TestContext, top: string, login?: string) {
  const client = await rawClient(t, login)
  const found = { nodes: 0, open: [] as string[], refused: [] as string[] }
  const visit = async (node: string): Promise<void> => {
    const [rc, names] = (await client('a_get_children2', node, false)) as [number, string[]]
    if (rc !== 0) return void found.refused.push(node)
    found.nodes++
    const [, acl] = (await client('a_get_acl', node)) as [number, { scheme: string }[]]
    if (acl.some(({ scheme }) => scheme !== 'digest')) found.open.push(node)
    for (const name of names) await visit(`${node}/${name}`)
  }
  await visit(top)
  return found
}
