import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type FrameworkDocument, paths } from '../infra/store/index.ts'
import { startZooKeeper, type ZooKeeperServer } from '../infra/zookeeper/index.ts'
import { Platform } from './testing/platform.ts'
import { until } from './testing/until.ts'

const score = {
  name: 'score',
  istreams: { clicks: { grouping: 'groupBy' as const } },
  ostreams: ['verdicts'],
}

let dir: string
let server: ZooKeeperServer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'concord-masters-'))
  server = await startZooKeeper({ dir })
})
after(async () => {
  await server?.stop('SIGKILL')
  await rm(dir, { recursive: true, force: true })
})

for (const found of ['in ZooKeeper', 'by a list of addresses'] as const)
  test(`a scheduler follows the leading master, found ${found}, keeping its framework id and tasks`, {
    timeout: 180_000,
  }, async (t) => {
    const path = found.replaceAll(' ', '-')
    const p = await Platform.start(t, undefined, `zk://${server.connect}/${path}`)
    await p.scheduler(found === 'in ZooKeeper' ? {} : { CONCORD_MESOS_URL: p.masterUrls.join(',') })
    await p.deploy(1, { ...score, instances: 2 })
    const before = await until('they run', () => p.running('score', 2))
    const framework = await p.store.get<FrameworkDocument>(paths.framework)
    for (const instances of [3, 4]) {
      const url = await p.replaceMaster()
      if (found === 'in ZooKeeper')
        await until('the new leader is found', () => p.logs.includes(`the Mesos master at ${url} leads`))
      await p.change('score', { instances })
      await until('it places what is wanted', () => p.running('score', instances), 60_000)
    }
    const now = await p.running('score', 4)
    assert.deepEqual(
      now?.instances.slice(0, 2).map(({ taskId, restarts }) => [taskId, restarts]),
      before.instances.map(({ taskId }) => [taskId, 0]),
      'no task was restarted',
    )
    assert.deepEqual((await p.store.get<FrameworkDocument>(paths.framework))?.value, framework?.value)
  })

test('a scheduler without a valid address of the masters ends and says what is expected', async (t) => {
  const p = await Platform.start(t)
  const wrong = p.spawn({ CONCORD_MESOS_URL: 'zk://mesos' })
  assert.equal(await wrong.exited, 2)
  assert.match(p.logs, /ERR_MASTERS_URL.*expected zk:/)
})
