import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subjects } from '../infra/bus/index.ts'
import {
  type FrameworkDocument,
  type FunctionDocument,
  type OutcomeDocument,
  paths,
  upsert,
} from '../infra/store/index.ts'
import type { LogLine } from '../sdk/api/index.ts'
import { ns, Platform } from './testing/platform.ts'
import { until } from './testing/until.ts'

const score = {
  name: 'score',
  istreams: { clicks: { grouping: 'groupBy' as const } },
  ostreams: ['verdicts'],
}

test('scheduler places an instance, restarts it when it is killed, and adopts it after its own death', async (t) => {
  const p = await Platform.start(t)
  const first = await p.scheduler()
  await p.deploy(1, score)
  const [instance] = (await until('it runs', () => p.running('score', 1))).instances
  assert.ok(instance?.taskId)
  const beat = await until('its heartbeat', () => p.beats.get(instance.taskId ?? ''))
  assert.equal(beat.instances[0]?.epoch, instance.epoch)

  const said: LogLine[] = []
  p.nc.subscribe(subjects.logSubject(ns, 'score'), {
    callback: (_error, message) => void said.push(message.json<LogLine>()),
  })
  await p.nc.flush()
  process.kill(beat.pid, 'SIGKILL')
  const again = await until('it runs again', async () => {
    const status = await p.running('score', 1)
    return status?.instances[0]?.taskId !== instance.taskId && status
  })
  const second = again.instances[0]
  assert.ok(second?.taskId && second.epoch > instance.epoch)
  assert.equal(second.restarts, 1)
  assert.equal(second.lastExit?.reason, 'signal 9')
  await until('it is told in the log of the function', () => said.length >= 2)
  assert.deepEqual(
    said.map(({ level, instance, version }) => [level, instance, version]),
    [
      ['warn', 'score-0', 1],
      ['info', 'score-0', 1],
    ],
  )
  assert.match(said[0]!.message, /^ended: signal 9 .*; it is started again/)
  assert.equal(said[1]!.message, `works again, on ${second.hostname}`)
  assert.ok(again.ended.recordsIn >= 1, 'what the first one counted is kept')
  assert.equal(again.ended.outputs.find((row) => row.stream === 'out')?.sent, 7)

  first.child.kill('SIGKILL')
  await first.exited
  const pid = (await until('its heartbeat', () => p.beats.get(second.taskId ?? ''))).pid
  const successor = await p.scheduler()
  await until('the new leader has told it again', () => {
    const latest = p.beats.get(second.taskId ?? '')
    return latest !== undefined && latest.generation > 2_000_000
  })
  assert.equal(p.beats.get(second.taskId ?? '')?.pid, pid)
  assert.deepEqual(await p.store.list(paths.tasks), [second.taskId])

  successor.child.kill('SIGTERM')
  assert.equal(await successor.exited, 0)
  process.kill(pid, 0)
})

test('scheduler scales, kills one instance for good, replaces versions, and removes what is deleted', async (t) => {
  const p = await Platform.start(t)
  const { url } = await p.scheduler()
  await p.deploy(1, { ...score, instances: 1 })
  await until('one runs', () => p.running('score', 1))
  await p.change('score', { instances: 3 })
  const three = await until('three run', () => p.running('score', 3))
  await until('the partitions are spread', () => {
    const owned = three.instances.map((i) => p.beats.get(i.taskId ?? '')?.instances[0] as unknown)
    const partitions = (owned as ({ partitions?: { clicks: number[] } } | undefined)[]).flatMap(
      (o) => o?.partitions?.clicks ?? [],
    )
    return partitions.length === 16 && new Set(partitions).size === 16
  })

  const command = { schema: 1, kind: 'killInstance', function: 'score', instance: 'score-0', restart: false }
  await p.store.create(paths.command(ns, 'c1'), command)
  const two = await until('two run', () => p.running('score', 2))
  assert.deepEqual(
    two.instances.map((i) => [i.index, i.taskId]),
    three.instances.slice(1).map((i) => [i.index, i.taskId]),
    'the others are the same tasks as before',
  )
  await until('the command is removed', async () => (await p.store.list(paths.commands(ns))).length === 0)
  assert.equal((await p.store.get<{ instances: number }>(paths.function(ns, 'score')))?.value.instances, 2)

  await p.store.create(paths.command(ns, 'c2'), { ...command, instance: 'score-1', restart: true })
  const replaced = await until('score-1 is another task', async () => {
    const status = await p.running('score', 2)
    return status !== undefined && status.instances[0]?.taskId !== two.instances[0]?.taskId && status
  })
  assert.equal(replaced.instances[1]?.taskId, two.instances[1]?.taskId)

  await p.deploy(2, score)
  await until('version 2 runs', async () => {
    const status = await p.running('score', 2)
    return status?.instances.every((i) => i.version === 2)
  })
  assert.equal((await p.status('score'))?.instances[0]?.restarts, 0)

  const metrics = await (await fetch(`${url}/metrics`)).text()
  assert.match(
    metrics,
    /concord_scheduler_instances\{function="score",state="running",process="scheduler",namespace="[a-z]+"\} 2/,
  )
  assert.match(metrics, /^concord_scheduler_instances_wanted\{function="score",.*\} 2$/m)
  assert.match(
    metrics,
    /^concord_scheduler_instance_ends_total\{function="score",reason="drained",verdict="wanted",.*\} [1-9]\d*$/m,
  )

  await p.change('score', { deleted: true })
  await until('all of it is gone', async () => {
    const left = await Promise.all(
      [paths.functions(ns), paths.statuses(ns), paths.tasks].map((path) => p.store.list(path)),
    )
    return left.every((names) => names.length === 0)
  })
  assert.deepEqual(await p.store.list(paths.versions(ns, 'score')), [])
})

test('scheduler settles a version again after an earlier leader did, and after its function was deployed anew', async (t) => {
  const p = await Platform.start(t)
  const first = await p.scheduler()
  await p.deploy(1, score)
  const settled = (version: number) => p.store.get<OutcomeDocument>(paths.outcome(ns, 'score', version))
  const before = await until('version 1 is settled', () => settled(1))
  await p.deploy(2, score)
  // The outcome is written before the function's document. After a death in between, version 1 is still the good one.
  const works = async () => (await p.store.get<FunctionDocument>(paths.function(ns, 'score')))?.value.good
  await until('version 2 is settled', async () => (await works()) === 2)
  first.child.kill('SIGKILL')
  await first.exited
  const second = await p.scheduler()
  // A gateway's outcome for a rolled-back version must not stop the scheduler.
  const left = { schema: 1, version: 1, state: 'rolledBack', atMs: 1 } as const
  await upsert<OutcomeDocument>(p.store, paths.outcome(ns, 'score', 1), () => left)
  await p.change('score', { version: 1 })
  await until('version 1 is settled again', async () => (await settled(1))!.value.atMs > before.value.atMs)
  await p.change('score', { deleted: true })
  await until('all of it is gone', async () => (await p.store.list(paths.functions(ns))).length === 0)
  assert.deepEqual(await p.store.list(paths.allOutcomes(ns)), [])
  await p.deploy(1, score)
  await until('version 1 is settled anew', () => settled(1))
  assert.equal(second.child.exitCode, null)
})

test('scheduler stops restarting what always fails, and says why; a new version starts afresh', async (t) => {
  const p = await Platform.start(t)
  await p.scheduler()
  await p.deploy(1, { ...score, restarts: 1, env: { FAIL: 'boom at score.ts:3:1' } })
  const status = await until('it is crash-looping', async () => {
    const found = await p.status('score')
    return found?.instances[0]?.state === 'crashLooping' && found
  })
  const instance = status.instances[0]
  assert.equal(instance?.lastExit?.reason, 'functionFailed')
  assert.equal(instance?.lastExit?.code, 10)
  await until('its last words', async () => {
    const found = (await p.status('score'))?.instances[0]
    return found?.lastExit?.message === 'boom at score.ts:3:1'
  })
  await p.deploy(2, { ...score })
  await until('version 2 runs', () => p.running('score', 1))
})

test('scheduler says what is missing if nothing fits, and holds no offers', async (t) => {
  const p = await Platform.start(t)
  await p.scheduler()
  await p.deploy(1, { ...score, instances: 1 })
  await until('it runs', () => p.running('score', 1))
  await p.deploy(2, { ...score, resources: { cpus: 64 } })
  const why = await until('the reason', async () => {
    const waiting = (await p.status('score'))?.instances.find(({ state }) => state === 'waiting')
    return waiting?.why?.includes('offer seen') && waiting.why
  })
  assert.match(why, /1 offer seen; no machine has 64 cpus: the largest has \d/)
  const old = (await p.status('score'))?.instances.find(({ version }) => version === 1)
  assert.match(
    `${old?.state}: ${old?.why}`,
    /^running: it works on until version 2, .*no machine has 64 cpus/,
  )
})

test('scheduler waits, leads when the leader dies, and ends with its parent process', async (t) => {
  const p = await Platform.start(t)
  const leader = await p.scheduler({ CONCORD_PARENT: 'stdin' })
  const standby = p.spawn({ CONCORD_PARENT: 'stdin' })
  await p.deploy(1, score)
  const before = await until('it runs', () => p.running('score', 1))
  leader.child.kill('SIGKILL')
  assert.ok(await standby.ready, 'the standby leads now')
  await until(
    'it tells the task',
    () => (p.beats.get(before.instances[0]?.taskId ?? '')?.generation ?? 0) > 2_000_000,
  )
  standby.child.stdin?.end()
  assert.equal(await standby.exited, 0)
})

test('schedulers told to empty drain all that runs, forget it, and end, whoever of them leads', async (t) => {
  const p = await Platform.start(t)
  const leader = await p.scheduler()
  const standby = p.spawn()
  await until('it waits, as the leader did before', () => p.logs.split('waits for its turn').length > 2)
  await p.deploy(1, { ...score, instances: 2 })
  const { instances } = await until('they run', () => p.running('score', 2))
  const beats = await until('both beat', () => {
    const heard = instances.flatMap(({ taskId }) => p.beats.get(taskId ?? '') ?? [])
    return heard.length === 2 && heard
  })
  standby.child.kill('SIGUSR2')
  leader.child.kill('SIGUSR2')
  assert.deepEqual(await Promise.all([leader.exited, standby.exited]), [0, 0])
  assert.deepEqual([await p.store.list(paths.tasks), await p.store.list(paths.seats)], [[], []])
  const status = await p.status('score')
  assert.deepEqual(
    status?.instances.map(({ state, restarts }) => [state, restarts]),
    Array(2).fill(['waiting', 0]),
  )
  for (const { pid } of beats) assert.throws(() => process.kill(pid, 0), /ESRCH/)
})

test('a scheduler of another namespace ends, at its start and when it comes to lead, and the tasks of the store go on', async (t) => {
  const p = await Platform.start(t)
  const own = await p.scheduler()
  await p.deploy(1, score)
  const [instance] = (await until('it runs', () => p.running('score', 1))).instances
  const { pid } = await until('its heartbeat', () => p.beats.get(instance?.taskId ?? ''))
  const other = { CONCORD_NAMESPACE: 'other' }
  assert.equal(await p.spawn(other).exited, 2)
  assert.match(p.logs, /ERR_OTHER_NAMESPACE.*'other': the store belongs to the namespace 'test'/)

  // As if it had begun to wait before the store was anybody's, beside a scheduler that wrote no namespace yet.
  const framework = (await p.store.get<FrameworkDocument>(paths.framework))?.value
  const { namespace, ...older } = framework!
  assert.equal(namespace, ns)
  await p.store.remove(paths.framework)
  const waiting = p.spawn(other)
  await until('it waits', () => p.logs.split('waits for its turn').length > 2)
  await p.store.create(paths.framework, older)
  own.child.kill('SIGKILL')
  assert.equal(await waiting.exited, 2)

  await p.scheduler()
  await until('its own scheduler has told the task', () => {
    const beat = p.beats.get(instance?.taskId ?? '')
    return beat !== undefined && beat.generation > 2_000_000 && beat.pid === pid
  })
  const named = async () => (await p.store.get<FrameworkDocument>(paths.framework))?.value.namespace
  await until('the namespace is written again', async () => (await named()) === ns)
})

test('scheduler ends at once, naming the cause, if its configuration is wrong or the cluster refuses it', async (t) => {
  const p = await Platform.start(t)
  const wrongCommand = p.spawn({ CONCORD_SCHEDULER_RUNNER_COMMAND: '[1]' })
  assert.equal(await wrongCommand.exited, 2)
  assert.match(p.logs, /ERR_SCHEDULER_CONFIG/)
  const wrongSecret = p.spawn({ CONCORD_MESOS_SECRET: 'other' })
  assert.equal(await wrongSecret.exited, 1)
  assert.match(p.logs, /ERR_MESOS_REFUSED/)
})
