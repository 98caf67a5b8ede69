import assert from 'node:assert/strict'
import { test } from 'node:test'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

test('under full load every record is processed serially, in order, and wholly or not at all (I1, I2, I3)', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'every'
  const source = functionOf({ name, throwsPerMillion: 2000, timersPerMillion: 2000, asyncPerMillion: 200 })
  await platform.deploy(name, source)
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records: 200_000, rate: 0 })
  const { sent, seconds, unaccounted, sunk, dropped, verdict, text } = await traffic.judged()
  t.diagnostic(`${Math.round(sent / seconds)} records/s; ${JSON.stringify(sunk)}; ${text}`)
  assert.ok(verdict.sound, text)
  assert.equal(unaccounted, 0)
  assert.equal(verdict.counts['output']! + verdict.counts['dropped']!, sent)
  assert.ok(dropped > 300, 'records have failed')
  assert.ok(sunk.timersSet > 300, 'timers were set')
  assert.equal(sunk.timersFired, sunk.timersSet)
  await platform.until(name, (d) => d.errors === dropped)
})
