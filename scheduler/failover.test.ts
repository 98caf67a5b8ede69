import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { paths, type Store, type StoreSettings } from '../infra/store/index.ts'
import { startZooKeeper, type ZooKeeperServer } from '../infra/zookeeper/index.ts'
import { Platform, type SchedulerProcess } from './testing/platform.ts'
import { until } from './testing/until.ts'

const score = {
  name: 'score',
  istreams: { clicks: { grouping: 'groupBy' as const } },
  ostreams: ['verdicts'],
}
/** How often the leader is killed. The figures in docs/operations.md are from 20. */
const kills = Number(process.env['CONCORD_FAILOVER_KILLS'] ?? 1)
const sessionTimeoutMs = Number(process.env['CONCORD_FAILOVER_SESSION_MS'] ?? 3_000)
/** ZooKeeper's tick; sessions last 2 to 20 of them. */
const tickMs = 400
/** After a server returns, its clients have a session's time to reconnect; on a busy machine that takes seconds. */
const patientSessionMs = 20 * tickMs

let dir: string
let server: ZooKeeperServer
let stores = 0
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'concord-failover-'))
  server = await startZooKeeper({ dir, tickMs })
})
after(async () => {
  await server?.stop('SIGKILL')
  await rm(dir, { recursive: true, force: true })
})

function settings(): StoreSettings {
  const url = `zk://${server.connect}/store-${stores++}`
  return { url, user: 'concord', password: 'secret', sessionTimeoutMs }
}

test('a waiting scheduler takes over from a killed leader and adopts what runs', {
  timeout: 120_000 + kills * 60_000,
}, async (t) => {
  const p = await Platform.start(t, settings())
  let leader: SchedulerProcess = await p.scheduler()
  await p.deploy(1, score)
  const [instance] = (await until('it runs', () => p.running('score', 1))).instances
  const pid = (await until('its heartbeat', () => p.beats.get(instance!.taskId ?? ''))).pid
  const figures: number[] = []
  for (let kill = 0; kill < kills; kill++) {
    const kept = documents(await settled(p.store, '/ns'))
    const epoch = await until('its generation', () => leaderEpoch(p, instance!.taskId))
    const next = await standby(p)
    // Kills both, as the loss of a machine would. If only the process dies, its client ends the session at once.
    const victims =
      kill % 2 === 0 ? [leader.child.pid!, ...clientsOf(leader.child.pid!)] : [leader.child.pid!]
    const killedAtMs = performance.now()
    for (const victim of victims) process.kill(victim, 'SIGKILL')
    // Control is restored when the new leader has sent the runner an assignment and the runner has answered.
    await until(
      'the new leader has told the runner',
      () => {
        return (p.beats.get(instance!.taskId ?? '')?.generation ?? 0) > (epoch + 1) * 1e6
      },
      120_000,
    )
    figures.push(performance.now() - killedAtMs)
    const line = await next.ready
    for (const path of kept) assert.ok(await p.store.get(path), `${path} is still there`)
    leader = { child: next.child, exited: next.exited, url: JSON.parse(line ?? '{}').url }
  }
  assert.equal(p.beats.get(instance!.taskId ?? '')?.pid, pid, 'the runner is the same process')
  assert.deepEqual(await p.store.list(paths.tasks), [instance!.taskId])
  const sorted = figures.toSorted((a, b) => a - b).map((ms) => Math.round(ms))
  t.diagnostic(
    `control was back after ${sorted.join(', ')} ms, with a session timeout of ${sessionTimeoutMs} ms`,
  )
})

test('a leader that sleeps past its session ends when it wakes, without changing anything', async (t) => {
  const p = await Platform.start(t, settings())
  const sleeper = await p.scheduler()
  await p.deploy(1, score)
  const [instance] = (await until('it runs', () => p.running('score', 1))).instances
  const next = await standby(p)
  sleeper.child.kill('SIGSTOP')
  assert.ok(await next.ready, 'the other leads')
  await p.change('score', { instances: 2 })
  await until('the new leader works', () => p.running('score', 2), 60_000)
  await next.child.kill('SIGSTOP') // any change from now on would be the sleeper's
  const before = await settled(p.store)
  sleeper.child.kill('SIGCONT')
  assert.equal(await sleeper.exited, 1)
  assert.match(p.logs, /ERR_LEADERSHIP_LOST|ERR_STORE_SESSION/)
  assert.deepEqual(await written(p.store, paths.scheduler), before)
  next.child.kill('SIGCONT')
  assert.ok(p.beats.get(instance!.taskId ?? ''))
})

test('scheduler and runners continue after ZooKeeper goes away for a while and returns', async (t) => {
  const p = await Platform.start(t, { ...settings(), sessionTimeoutMs: patientSessionMs })
  const { child, exited } = await p.scheduler()
  await p.deploy(1, score)
  const [instance] = (await until('it runs', () => p.running('score', 1))).instances
  const task = instance!.taskId ?? ''
  const { port } = server
  await server.stop('SIGKILL')
  const beatenAtMs = p.beats.get(task)!.sentAtMs
  await until(
    'the runner goes on beating',
    () => p.beats.get(task)!.sentAtMs > beatenAtMs + patientSessionMs,
    60_000,
  )
  server = await startZooKeeper({ dir, port, tickMs })
  await p.change('score', { instances: 2 })
  await until('the scheduler works again', () => p.running('score', 2), 60_000)
  assert.equal(child.exitCode, null)
  child.kill('SIGTERM')
  assert.equal(await exited, 0)
})

test('a scheduler with wrong store credentials ends at once with a clear error', async (t) => {
  const p = await Platform.start(t, settings())
  const { exited } = p.spawn({ CONCORD_STORE_PASSWORD: 'wrong' })
  assert.equal(await exited, 2)
  assert.match(p.logs, /ERR_STORE_REFUSED.*belongs to others than store\.user/)
})

/** Starts a scheduler and waits until it is waiting for leadership. */
async function standby(p: Platform): Promise<ReturnType<Platform['spawn']>> {
  const waiting = () => p.logs.split('waits for its turn').length
  const before = waiting()
  const started = p.spawn()
  await until('it waits for its turn', () => waiting() > before)
  return started
}

/** The epoch of the leader that sent the task its last assignment. */
function leaderEpoch(p: Platform, taskId: string | undefined): number | undefined {
  const generation = p.beats.get(taskId ?? '')?.generation ?? 0
  return generation === 0 ? undefined : Math.floor(generation / 1e6)
}

/** Everything under a path, with versions. */
async function written(store: Store, path: string): Promise<unknown[]> {
  const names = await store.list(path)
  const below = await Promise.all(names.map((name) => written(store, `${path}/${name}`)))
  return [path, await store.get(path), ...below]
}

/** The paths in a result of `written` that hold a document. */
function documents([path, document, ...below]: unknown[]): string[] {
  const deeper = (below as unknown[][]).flatMap(documents)
  return document === undefined ? deeper : [path as string, ...deeper]
}

/** The result once the last writes have arrived. */
async function settled(store: Store, path: string = paths.scheduler): Promise<unknown[]> {
  let before = await written(store, path)
  for (;;) {
    const now = await written(store, path)
    if (isDeepStrictEqual(now, before)) return now
    before = now
  }
}

/** The client processes of a process (infra/store/zookeeper/client-process.ts). */
function clientsOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return children
    .map(Number)
    .filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('client-process'))
}
