import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startEnsemble } from '../../zookeeper/index.ts'
import { opened } from './testing.ts'

test('three servers: one may fail, with two gone nothing is written, and the leadership survives both', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-ensemble-'))
  const ensemble = await startEnsemble({ dir, servers: 3, tickMs: 500 })
  t.after(async () => {
    await Promise.all(ensemble.servers.map((server) => server.stop('SIGKILL')))
    await rm(dir, { recursive: true, force: true })
  })
  // As long as this machine may take to elect a leader among the servers.
  const patient = { patienceMs: 100_000, sessionTimeoutMs: 10_000 }
  const store = await opened(t, ensemble.connect, '/concord', patient)
  const watcher = await opened(t, ensemble.connect, '/concord', patient)
  let seen = 0
  watcher.watch('/a', async () => {
    seen = (await watcher.get<number>('/a').catch(() => undefined))?.value ?? seen
    told.resolve()
  })
  let told = Promise.withResolvers<void>()
  const untilSeen = async (value: number) => {
    while (seen < value) {
      told = Promise.withResolvers()
      if (seen < value) await told.promise
    }
  }
  const leadership = await store.lead('scheduler', new AbortController().signal)
  await leadership.store.create('/a', 1)
  await untilSeen(1)

  // The last one leads the others as long as it lives.
  await ensemble.servers[2]!.stop('SIGKILL')
  await leadership.store.update('/a', 2, 0)
  await untilSeen(2)
  assert.equal(leadership.lost.aborted, false)

  const hasty = await opened(t, ensemble.connect, '/concord', { ...patient, patienceMs: 300 })
  await ensemble.servers[0]!.stop('SIGKILL')
  await assert.rejects(hasty.create('/b', 1), { code: 'ERR_STORE_UNAVAILABLE' })
  const waiting = leadership.store.update('/a', 3, 1)
  await ensemble.restart(2)
  assert.equal(await waiting, 2)
  await untilSeen(3)
  assert.equal(leadership.lost.aborted, false)
  assert.equal(await store.get('/b'), undefined, 'what was given up is not done later')
})
