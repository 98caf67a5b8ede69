/**
 * One of three nats-servers comes back with an empty disk and is made the leader of every stream: state, dead letters and code are
 * what they were, and a runner that starts then finds its state (docs/design/0017-nats-cluster.md).
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { connectBus } from '../../infra/bus/index.ts'
import { patiently } from '../../infra/jetstream.ts'
import { homeOf } from '../../infra/local/home.ts'
import { readUpFile } from '../../infra/local/up-file.ts'
import { isAlive } from '../../infra/process.ts'
import type { DeadLetterSummary, FunctionDetail } from '../../sdk/api/index.ts'
import { name, source } from './counts.ts'
import { Platform, Reader } from './platform.ts'

/** Behind what has been produced by then lies a checkpoint with all of it. */
const settledMs = 5_000
const member = 'nats-1'
const folderOf = (platform: Platform): string => join(homeOf(platform.home).natsCluster, 'server-1')
const size = ['--agents', '1', '--schedulers', '1', '--nats', '3']

/** Ends the member, as a machine does whose disk is replaced meanwhile. Its keeper starts it again. */
async function comesBackEmpty(platform: Platform): Promise<void> {
  const idOf = async () => (await readUpFile(homeOf(platform.home)))!.processes[member]!
  const before = await idOf()
  process.kill(before.pid, 'SIGSTOP') // it must not write while its files go
  rmSync(join(folderOf(platform), 'data'), { recursive: true })
  process.kill(before.pid, 'SIGKILL')
  for (let now = before; now.pid === before.pid || !isAlive(now); await sleep(50)) now = await idOf()
}

/** Leaders step down, as soon as they call the member's copy current, until it leads. */
async function leadsAll(t: TestContext, platform: Platform): Promise<void> {
  const { nats } = JSON.parse(readFileSync(join(platform.home, 'credentials.json'), 'utf8')) as {
    nats: { gateway: { user: string; password: string } }
  }
  const nc = await connectBus({ url: platform.natsUrl, name: 'test', ...nats.gateway })
  t.after(() => nc.close())
  const conf = readFileSync(join(folderOf(platform), 'nats-server.conf'), 'utf8')
  const server = /^server_name: (\S+)$/m.exec(conf)![1]
  const { streams } = await jetstreamManager(nc, { checkAPI: false, timeout: 2_000 })
  const names = await untilAnswered(async () =>
    (await streams.list().next()).map(({ config }) => config.name),
  )
  assert.ok(names.length >= 5, `${names}`)
  const becomesLeader = async (stream: string): Promise<void> => {
    for (;;) {
      const { cluster, config } = await untilAnswered(() => streams.info(stream))
      if (config.num_replicas === 3 && cluster?.leader === server) return
      const copy = cluster?.replicas?.find((replica) => replica.name === server)
      if (copy?.current) await nc.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`).catch(() => undefined)
      await sleep(200)
    }
  }
  await Promise.all(names.map(becomesLeader))
}

/** While servers elect a leader, nobody answers. */
async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  return await patiently({ call, timeoutMs: 60_000, failed: (cause) => cause as Error })
}

test('a nats-server that comes back with an empty disk leads every stream, and nothing is gone', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, size)
  const produce = (values: readonly string[]) =>
    platform.json(['produce', 'said', '--key', 'k'], `${values.join('\n')}\n`)
  await platform.deploy(name, source)
  const atMs = Date.now()
  await produce([...new Array<string>(100).fill('good'), 'bad'])
  const isStored = ({ instances: [first], ledger: [input] }: FunctionDetail): boolean =>
    input?.processed === 100 && input.inFlight === 0 && (first?.checkpoint?.atMs ?? 0) > atMs + settledMs
  await platform.until(name, isStored)

  await comesBackEmpty(platform)
  await leadsAll(t, platform)

  const before = await platform.until(name, (d) => d.instances[0]?.pid !== undefined)
  process.kill(before.instances[0]!.pid!, 'SIGKILL')
  await platform.until(
    name,
    (d) => d.instances[0]?.state === 'running' && d.instances[0].pid !== before.instances[0]!.pid,
  )
  const reader = await Reader.start(t, platform, ['counted'])
  await produce(['good', 'bad'])
  await reader.read(1)
  await reader.end()
  assert.equal(reader.records[0]!['value'], '101')
  const { ledger } = await platform.until(name, ({ ledger: [input] }) => input?.inFlight === 0)
  const { sent, processed, dropped, unaccounted } = ledger[0]!
  assert.deepEqual(
    { sent, processed, dropped, unaccounted },
    { sent: 103, processed: 101, dropped: { deadLettered: 2 }, unaccounted: 0 },
  )
  assert.equal((await platform.json<DeadLetterSummary[]>(['dlq', 'ls', name])).length, 2)
})
