import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

const chances = { throwsPerMillion: 0, timersPerMillion: 2_000, asyncPerMillion: 100 }

test('instances get more memory and cores under load: others beside them take their shares; state and timers stay, nothing is lost', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'grows'
  const file = join(platform.home, `${name}.ts`)
  writeFileSync(file, functionOf({ name, ...chances }))
  // A runner that a machine without a CPU to spare ends as frozen while it starts is started again: no deploy hears of that.
  const size = ['--mem', '256', '--cpus', '0.2']
  await platform.json(['fn', 'deploy', file, '--instances', '2', '--no-wait', ...size])
  const records = Number.POSITIVE_INFINITY
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: 5_000 })
  const before = await platform.until(
    name,
    ({ recordsIn, state }) => recordsIn > 5_000 && state === 'running',
  )

  const scaled = await platform.cli([
    'fn',
    'scale',
    name,
    '--mem',
    '320',
    '--cpus',
    '0.3',
    '--timeout',
    '180',
  ])
  assert.equal(scaled.code, 0, scaled.stderr)
  assert.match(scaled.stdout, /grows v2 has 320 MiB and 0.3 cpus per instance/)
  const after = await platform.until(name, ({ state }) => state === 'running')
  assert.deepEqual(
    after.instances.map(({ id, version }) => `${id} v${version}`),
    ['grows-2 v2', 'grows-3 v2'],
  )
  const old = new Set(before.instances.map(({ taskId }) => taskId))
  assert.ok(after.instances.every(({ taskId }) => !old.has(taskId)))
  await platform.until(name, ({ recordsIn }) => recordsIn > after.recordsIn + 2_000)
  traffic.stop()
  const { sent, unaccounted, sunk, verdict, text } = await traffic.judged()
  const { ledger } = await platform.client.inspect(name)
  const gaps = sunk.gaps.map(({ ms }) => ms).sort((a, b) => a - b)
  t.diagnostic(
    `${sent} records, ${gaps.length} partitions moved, each was silent for ${gaps[gaps.length >> 1]?.toFixed(0)} ms in the median, ${gaps.at(-1)?.toFixed(0)} at most`,
  )
  assert.ok(verdict.sound, text)
  assert.deepEqual([unaccounted, sunk.outputs, sunk.timersFired], [0, sent, sunk.timersSet])
  assert.ok(ledger.every(({ stateLost }) => stateLost === 0))
})
