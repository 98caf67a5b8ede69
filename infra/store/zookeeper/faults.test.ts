import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { findClientModule } from './client-module.ts'
import { opened, sessionsOf, startWire, stopEventLoop, useServer } from './testing.ts'

const zk = useServer()
const never = new AbortController().signal
const patient = { patienceMs: 60_000 }

test('ZooKeeperStore continues after a lost connection: reads, writes, watches and leaderships', async (t) => {
  const store = await opened(t, zk.server.connect, zk.freshRoot(), patient)
  const leadership = await store.lead('scheduler', never)
  await store.create('/a', 1)
  let called = Promise.withResolvers<void>()
  store.watch('/a', () => called.resolve())
  await called.promise
  let during: Promise<unknown> | undefined
  await zk.restart(async () => {
    during = Promise.all([store.get('/a'), leadership.store.create('/b', 1)])
  })
  assert.deepEqual(await during, [{ value: 1, version: 0 }, 0])
  assert.equal(leadership.lost.aborted, false)
  called = Promise.withResolvers()
  await store.update('/a', 2, 0)
  await called.promise
})

test('ZooKeeperStore throws ERR_STORE_UNAVAILABLE after its timeout, and works again without being opened anew', async (t) => {
  const wire = await startWire(t, zk.server.port)
  const store = await opened(t, wire.connect, zk.freshRoot(), { patienceMs: 200 })
  await store.create('/a', 1)
  wire.cut(true)
  const unavailable = { code: 'ERR_STORE_UNAVAILABLE', message: new RegExp(wire.connect) }
  await assert.rejects(store.update('/a', 2, 0), unavailable)
  await assert.rejects(store.get('/a'), unavailable)
  wire.cut(false)
  let found = await store.get<number>('/a').catch(() => undefined)
  while (found === undefined) found = await store.get<number>('/a').catch(() => undefined)
  assert.deepEqual(found, { value: 1, version: 0 }, 'what was given up is not done later')
  assert.equal(await store.update('/a', 3, 0), 1)
})

test('ZooKeeperStore recognises its write whose answer was lost, and its place in a queue (ZT2, ZE2)', async (t) => {
  const wire = await startWire(t, zk.server.port)
  const root = zk.freshRoot()
  const store = await opened(t, wire.connect, root, patient)
  const direct = await opened(t, zk.server.connect, root, patient)
  assert.equal(await store.create('/a', 'made'), 0)
  wire.loseAnswerTo('setData')
  assert.equal(await store.update('/a', 'changed', 0), 1)
  assert.deepEqual(await direct.get('/a'), { value: 'changed', version: 1 })
  wire.loseAnswerTo('delete')
  await store.remove('/a', 1)
  assert.equal(await direct.get('/a'), undefined)
  wire.loseAnswerTo('create')
  const first = await store.lead('scheduler', never)
  assert.equal(wire.lost, 3)
  await first.release()
  assert.ok((await direct.lead('scheduler', never)).epoch > first.epoch, 'nobody else stands in the queue')
})

test('ZooKeeperStore loses its leadership when its event loop stands still for a session timeout, then works again (ZC3)', async (t) => {
  const root = zk.freshRoot()
  const timeoutMs = 2_000
  const store = await opened(t, zk.server.connect, root, { ...patient, sessionTimeoutMs: timeoutMs })
  const other = await opened(t, zk.server.connect, root, patient)
  const first = await store.lead('scheduler', never)
  await first.store.create('/a', 1)
  let called = Promise.withResolvers<void>()
  store.watch('/a', () => called.resolve())
  await called.promise
  called = Promise.withResolvers()
  stopEventLoop(3 * timeoutMs)
  const second = await other.lead('scheduler', never)
  if (!first.lost.aborted) await once(first.lost, 'abort')
  for (const work of [
    () => first.store.update('/a', 2, 0),
    () => first.store.create('/b', 1),
    () => first.store.get('/a'),
  ])
    await assert.rejects(work, { code: 'ERR_STORE_SESSION' })
  await called.promise // the watch lives on in the new session
  called = Promise.withResolvers()
  await second.store.update('/a', 3, 0)
  await called.promise
  assert.deepEqual(await store.get('/a'), { value: 3, version: 1 })
  await second.release()
  assert.ok((await store.lead('scheduler', never)).epoch > second.epoch)
})

test('ZooKeeperStore reads watched nodes from memory, and never anything older than its own writes (ZN3)', {
  timeout: 300_000,
}, async (t) => {
  const wire = await startWire(t, zk.server.port)
  const root = zk.freshRoot()
  const store = await opened(t, wire.connect, root, { patienceMs: 10_000 })
  const other = await opened(t, zk.server.connect, root)
  let called = Promise.withResolvers<void>()
  store.watch('/w', () => called.resolve())
  await called.promise
  await store.create('/w/a', 0)
  await store.get('/w/a')
  for (let n = 0; n < 50; n++) {
    await store.update('/w/a', n + 1, n)
    assert.deepEqual(await store.get('/w/a'), { value: n + 1, version: n + 1 })
    await store.create(`/w/b/${n}`, n)
    assert.equal((await store.list('/w/b')).length, n + 1)
  }
  await store.remove('/w/b/0')
  assert.equal(await store.get('/w/b/0'), undefined)
  assert.equal((await store.list('/w/b')).length, 49)
  // Another writes while we read: at the end nothing stale is left (ZN4).
  let writing = true
  const writes = (async () => {
    for (let n = 0; n < 200; n++) {
      await other.update('/w/a', n, 50 + n)
      await other.create(`/w/c${n}`, n)
    }
    writing = false
  })()
  while (writing) {
    await Promise.all([store.get('/w/a'), store.list('/w')])
    await new Promise((resolve) => setImmediate(resolve)) // what is read from memory takes no turn of the event loop
  }
  await writes
  await other.update('/w/a', 'theirs', 250)
  for (;;) {
    called = Promise.withResolvers()
    const [found, names] = await Promise.all([store.get('/w/a'), store.list('/w')])
    if (found?.value === 'theirs' && names.length === 202) break
    await called.promise // a change that nobody is told of is one that is never read
  }
  await store.get('/elsewhere') // its answer comes after all that its session had to be told
  await store.get('/w/a') // so this one is kept (ZN4)
  wire.cut(true)
  assert.equal((await store.get('/w/a'))?.value, 'theirs', 'without a connection')
  wire.cut(false)
})

test('ZooKeeperStore continues when its client process dies', async (t) => {
  const store = await opened(t, zk.server.connect, zk.freshRoot(), patient)
  await store.create('/a', 1)
  const leadership = await store.lead('ingest', never)
  for (const pid of sessionsOf(process.pid)) process.kill(pid, 'SIGSEGV')
  if (!leadership.lost.aborted) await once(leadership.lost, 'abort')
  assert.deepEqual(await store.get('/a'), { value: 1, version: 0 })
  assert.equal(await store.update('/a', 2, 0), 1)
})

test('ZooKeeperStore survives answers that come byte by byte, after which the client alone would end its session', async (t) => {
  const wire = await startWire(t, zk.server.port)
  const root = zk.freshRoot()
  const value = 'x'.repeat(4_000)
  await (await opened(t, zk.server.connect, root)).create('/a', value)
  const store = await opened(t, wire.connect, root, patient)
  const leadership = await store.lead('ingest', never)
  wire.dribble()
  assert.equal((await store.get('/a'))?.value, value)
  assert.equal(leadership.lost.aborted, false)
})

test('openStore gives up in time if a server accepts the connection and says nothing, or refuses it', async (t) => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  const { port } = silent.address() as { port: number }
  const attempt = (connect: string) => opened(t, connect, '/x', { connectMs: 500, sessionTimeoutMs: 1_000 })
  await assert.rejects(attempt(`127.0.0.1:${port}`), {
    code: 'ERR_STORE_UNAVAILABLE',
    message: /127\.0\.0\.1:\d+: a server takes connections, but gives no session: is there a quorum\?/,
  })
  await assert.rejects(attempt('127.0.0.1:1,no-such-host.invalid'), {
    code: 'ERR_STORE_UNAVAILABLE',
    message: /127\.0\.0\.1:1 refuses the connection, no-such-host\.invalid:2181 has no address/,
  })
})

test('openStore finds the living server, whichever is listed first', async (t) => {
  const root = zk.freshRoot()
  for (const connect of [`127.0.0.1:1,${zk.server.connect}`, `${zk.server.connect},127.0.0.1:1`])
    assert.deepEqual(await (await opened(t, connect, root)).list('/'), [])
})

test('the client process ends with the process that started it', async () => {
  const script = new URL('./testing-process.ts', import.meta.url)
  const child = fork(script, [zk.server.connect, zk.freshRoot(), 'idle'], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  assert.deepEqual(await once(child, 'message'), ['ready', undefined])
  const [client] = sessionsOf(child.pid!)
  assert.ok(client)
  child.kill('SIGKILL')
  await once(child, 'exit')
  while (isThere(client)) await new Promise((resolve) => setTimeout(resolve, 10))
})

test('findClientModule says what to do if the client is not installed', () => {
  assert.throws(() => findClientModule([new URL('file:///nowhere/package.json')]), {
    code: 'ERR_STORE_MODULE',
    message: /'zookeeper', is not installed\. Install it with 'npm run bootstrap -- --for cluster'/,
  })
  assert.match(findClientModule(), /zookeeper/)
})

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
