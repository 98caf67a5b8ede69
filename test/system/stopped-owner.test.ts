/**
 * An owner that stands still, with its watchdog, while its partitions go to another; and then wakes: it has frames in hand and
 * believes that they are its own (I8).
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { functionOf, partitions } from './load/records.ts'
import { type Judged, Traffic } from './load/traffic.ts'
import { projectOf } from './load/worked.ts'
import { Platform } from './platform.ts'

const size = ['--agents', '2', '--schedulers', '1']
/** Some wait, so that a stop comes while records are in hand. */
const chances = { throwsPerMillion: 0, timersPerMillion: 0, asyncPerMillion: 100_000 }
/** Large, so that a window has few. */
const valueBytes = 1000
const records = Number.POSITIVE_INFINITY

test('an owner that is stopped while its partitions move exits when it is woken, and nothing comes twice', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, size)
  await platform.deploy('stopped', functionOf({ name: 'stopped', ...chances, keepsState: false }))
  const load = { name: 'stopped', producers: 2, records, rate: 2000, valueBytes }
  const traffic = await Traffic.start(t, platform, load)
  const before = await platform.until('stopped', (d) => d.recordsIn > 5_000)
  const { hostname, taskId } = before.instances[0]!

  const owner = stop(t, before.instances[0]!.pid!)
  await platform.json(['cluster', 'cut', hostname!])
  const moved = await platform.until(
    'stopped',
    ({ instances: [one] }) => one !== undefined && one.taskId !== taskId && one.recordsIn > 5_000,
  )
  assert.notEqual(moved.instances[0]!.hostname, hostname)
  owner.wake()
  await owner.ended()
  tell(t, await judged(platform, traffic, 'stopped'))
})

test('an owner that is stopped while its partitions move to another slot puts out nothing that counts when it is woken (I8)', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, size)
  const name = 'two'
  writeFileSync(join(platform.home, `${name}.ts`), functionOf({ name, ...chances, keepsState: false }))
  const placement = { constraints: ['hostname unique'] }
  await platform.json(['fn', 'deploy', projectOf(platform, name, { instances: 2, placement })])
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: 2000, valueBytes })
  const { instances } = await platform.until(name, (d) =>
    d.instances.every(({ recordsIn }) => recordsIn > 2_500),
  )

  const owner = stop(t, instances[1]!.pid!)
  await platform.json(['cluster', 'cut', instances[1]!.hostname!])
  await platform.until(name, (d) => d.instancesRunning === 1)
  await platform.json(['fn', 'scale', name, '1']) // elsewhere is no room for a second
  await platform.until(name, (d) => d.instances[0]?.partitions?.length === partitions)
  owner.wake()
  await owner.ended()
  tell(t, await judged(platform, traffic, name))
})

/** What it has left on its way, the server had read when its connection ended: what is sent from now on comes later. */
async function judged(platform: Platform, traffic: Traffic, name: string): Promise<Judged> {
  const { recordsIn } = await platform.client.inspect(name)
  await platform.until(name, (d) => d.recordsIn > recordsIn + 5_000)
  traffic.stop()
  return await traffic.judged(1)
}

function tell(t: TestContext, { sent, unaccounted, loss }: Judged): void {
  t.diagnostic(`${sent} sent, ${unaccounted} unaccounted, ${loss} missing`)
}

/** Stops an instance's process and its watchdog. They are woken at the end of the test, if not before. */
function stop(t: TestContext, pid: number): { wake(): void; ended(): Promise<void> } {
  const watchdog = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
  for (const each of [watchdog, pid]) process.kill(each, 'SIGSTOP')
  t.after(() => wake(watchdog, pid))
  return {
    wake: () => wake(watchdog, pid),
    async ended() {
      while (isThere(pid) || isThere(watchdog)) await sleep(20) // the test's time limit bounds it
    },
  }
}

function wake(...pids: readonly number[]): void {
  for (const pid of pids)
    try {
      process.kill(pid, 'SIGCONT')
    } catch {
      // it has ended
    }
}

/** Not as a zombie, whose parent may be stopped or slow to look. */
function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
