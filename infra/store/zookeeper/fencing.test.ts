import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { Store } from '../store.ts'
import { Nodes, ownAcl } from './nodes.ts'
import { Session } from './session.ts'
import { login, opened, sessionTimeoutMs, useServer } from './testing.ts'
import { Tree } from './tree.ts'

const zk = useServer()
const never = new AbortController().signal
/** 200 were run once; each takes two session timeouts. */
const trials = Number(process.env['CONCORD_FENCING_TRIALS'] ?? 1)
const shortMs = 3_000

test('a leader that sleeps past its session changes nothing when it wakes, and ends', {
  timeout: 300_000 + trials * 20_000,
}, async (t) => {
  for (let trial = 0; trial < trials; trial++) {
    const root = zk.freshRoot()
    const store = await opened(t, zk.server.connect, root, { patienceMs: 60_000 })
    const sleeper = await meddler(t, root)
    await once(sleeper, 'message') // it leads, and writes as fast as it can
    sleeper.kill('SIGSTOP')
    const leadership = await store.lead('scheduler', never)
    for (const path of await allPaths(store)) {
      const found = await leadership.store.get(path)
      if (found !== undefined) await leadership.store.update(path, found.value, found.version)
    }
    await leadership.seal()
    const before = await snapshot(store)
    sleeper.kill('SIGCONT')
    assert.deepEqual(await once(sleeper, 'exit'), [7, null])
    assert.deepEqual(await snapshot(store), before)
    await store.close()
  }
})

test('a leader that was replaced can update nothing though its session lives, and what it creates is invisible (ZT3)', async (t) => {
  const root = zk.freshRoot()
  const store = await opened(t, zk.server.connect, root)
  const old = await oldLeader(t, root, 1)
  for (const epoch of [1, 2]) {
    const leadership = await store.lead('scheduler', never)
    assert.equal(leadership.epoch, epoch)
    await leadership.seal()
    if (epoch === 1) await old.create('/tasks/a', 'of the first')
    else {
      // Before the seal it would have been there, and been taken over.
      const found = await leadership.store.get('/tasks/a')
      assert.equal(found, undefined)
    }
    await leadership.release()
  }
  assert.equal(await old.create('/tasks/late', 1), 0, 'ZooKeeper takes it: only readers know better')
  assert.equal(await store.get('/tasks/late'), undefined)
  await assert.rejects(store.update('/tasks/late', 2, 0), { code: 'ERR_STORE_NOT_FOUND' })
  assert.equal(await store.create('/tasks/late', 'in time'), 0)
  await assert.rejects(old.update('/tasks/late', 3, 1), { code: 'ERR_STORE_CONFLICT' })
  assert.deepEqual(await store.get('/tasks/late'), { value: 'in time', version: 0 })
})

test('leaders follow one another in order of arrival, and one that leaves the middle of the queue wakes nobody', async (t) => {
  const root = zk.freshRoot()
  const stores = await Promise.all([0, 1, 2, 3].map(() => opened(t, zk.server.connect, root)))
  const order: number[] = []
  const leaving = new AbortController()
  const first = await stores[0]!.lead('scheduler', never)
  const queue: Promise<unknown>[] = []
  for (const at of [1, 2, 3]) {
    queue.push(
      stores[at]!.lead('scheduler', at === 2 ? leaving.signal : never).then(
        async (leadership) => {
          order.push(at)
          await leadership.release()
        },
        () => order.push(-at),
      ),
    )
    await untilQueued(t, root, at + 1)
  }
  leaving.abort()
  await queue[1]
  assert.deepEqual(order, [-2])
  await first.release()
  await Promise.all(queue)
  assert.deepEqual(order, [-2, 1, 3])
  await untilQueued(t, root, 0)
})

async function meddler(t: TestContext, root: string): Promise<ChildProcess> {
  const script = new URL('./testing-process.ts', import.meta.url)
  const child = fork(script, [zk.server.connect, root, 'meddle', String(shortMs)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

/** What is left of a leader that does not know that it is none: its session, and its epoch. */
async function oldLeader(t: TestContext, root: string, epoch: number): Promise<Tree> {
  const session = await openSession(t, root)
  return new Tree({
    session,
    nodes: new Nodes(session, ownAcl(login.user, login.password), session.ended),
    root: `${root}/docs`,
    sealed: async () => 0,
    signal: session.ended,
    leader: { name: 'scheduler', epoch },
  })
}

async function openSession(t: TestContext, root: string): Promise<Session> {
  const servers = [{ host: '127.0.0.1', port: zk.server.port }]
  const session = await Session.open({
    ...login,
    address: { servers, root },
    timeoutMs: sessionTimeoutMs,
    connectMs: 30_000,
  })
  t.after(() => session.close())
  return session
}

async function untilQueued(t: TestContext, root: string, count: number): Promise<void> {
  const session = await openSession(t, root)
  const node = `${root}/leaders/scheduler`
  for (;;) {
    let changed = () => {}
    const change = new Promise<void>((resolve) => {
      changed = resolve
    })
    const stop = session.on(node, changed)
    if ((await session.children(node, true, session.ended))?.length === count) return stop()
    await change
    stop()
  }
}

async function allPaths(store: Store, below = ''): Promise<string[]> {
  const names = await store.list(below || '/')
  const deeper = await Promise.all(names.map((name) => allPaths(store, `${below}/${name}`)))
  return [...names.map((name) => `${below}/${name}`), ...deeper.flat()]
}

async function snapshot(store: Store): Promise<unknown> {
  const paths = await allPaths(store)
  return Promise.all(paths.map(async (path) => [path, await store.get(path)]))
}
