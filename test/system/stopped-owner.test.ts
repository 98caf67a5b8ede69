/**
 * An owner that stands still, with its watchdog, while its partitions go to another; and then wakes: it has frames in hand and
 * believes that they are its own (I8).
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

const size = ['--agents', '2', '--schedulers', '1']

test('an owner that is stopped while its partitions move exits when it is woken, and nothing comes twice', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, size)
  const chances = { throwsPerMillion: 0, timersPerMillion: 0, asyncPerMillion: 0 }
  await platform.deploy('stopped', functionOf({ name: 'stopped', ...chances, keepsState: false }))
  const traffic = await Traffic.start(t, platform, {
    ...{ name: 'stopped', producers: 2, records: Number.POSITIVE_INFINITY, rate: 2000 },
    valueBytes: 1000, // so that a window has few
  })
  const before = await platform.until('stopped', (d) => d.recordsIn > 5_000)
  const { pid, hostname, taskId } = before.instances[0]!
  const watchdog = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])

  for (const each of [watchdog, pid!]) process.kill(each, 'SIGSTOP')
  t.after(() => wake(watchdog, pid!))
  await platform.json(['cluster', 'cut', hostname!])
  const moved = await platform.until(
    'stopped',
    ({ instances: [one] }) => one !== undefined && one.taskId !== taskId && one.recordsIn > 5_000,
  )
  assert.notEqual(moved.instances[0]!.hostname, hostname)
  wake(watchdog, pid!)
  while (isThere(pid!) || isThere(watchdog)) await sleep(20) // the test's time limit bounds it

  // What it has left on its way, the server had read when its connection ended: what is sent from now on comes later.
  const { recordsIn } = await platform.client.inspect('stopped')
  await platform.until('stopped', (d) => d.recordsIn > recordsIn + 5_000)
  traffic.stop()
  const { sent, unaccounted, loss } = await traffic.judged(1)
  t.diagnostic(`${sent} sent, ${unaccounted} unaccounted, ${loss} missing`)
})

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
