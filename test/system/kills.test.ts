import assert from 'node:assert/strict'
import { test } from 'node:test'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

/** A hundred in the long mode. */
const kills = Number(process.env['CONCORD_KILLS'] ?? 3)

test(`a runner killed ${kills} times under load: what is missing is accounted for, nothing is twice or out of order (I7)`, {
  timeout: 400_000 + kills * 90_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'killed'
  const chances = { throwsPerMillion: 0, timersPerMillion: 0, asyncPerMillion: 0 }
  await platform.deploy(name, functionOf({ name, ...chances, keepsState: false }))
  const records = Number.POSITIVE_INFINITY
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: 10_000 })
  let before: number | undefined
  for (let kill = 0; kill < kills; kill++) {
    const working = await platform.until(
      name,
      ({ instances: [one] }) => one?.pid !== undefined && one.pid !== before && one.recordsIn > 5_000,
    )
    before = working.instances[0]!.pid!
    process.kill(before, 'SIGKILL')
  }
  await platform.until(name, (d) => d.state === 'running' && d.instances[0]?.pid !== before)
  traffic.stop()
  const { sent, unaccounted, sunk, verdict, text } = await traffic.judged()
  const { loss = 0, ...others } = verdict.records
  t.diagnostic(
    `${sent} records, ${unaccounted} unaccounted, ${loss} missing; ${sunk.gapsMs.length} new owners seen`,
  )
  assert.deepEqual(others, {}, text)
  assert.ok(loss <= unaccounted, `${loss} missing, ${unaccounted} unaccounted: ${text}`)
  assert.ok(sunk.gapsMs.length >= kills, 'its partitions had other owners')
})
