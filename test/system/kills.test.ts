import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faults } from './load/faults.ts'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

/** A hundred in the long mode; of nats-server fifty. */
const kills = Number(process.env['CONCORD_KILLS'] ?? 3)
const natsKills = Number(process.env['CONCORD_NATS_KILLS'] ?? 1)
const chances = { throwsPerMillion: 0, timersPerMillion: 0, asyncPerMillion: 0 }

test(`a runner killed ${kills} times under load: what is missing is accounted for, nothing is twice or out of order (I7)`, {
  timeout: 400_000 + kills * 90_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'killed'
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
  const silentMs = [...sunk.gapsMs].sort((a, b) => a - b)
  const at = (share: number): number => Math.round(silentMs[Math.floor((silentMs.length - 1) * share)] ?? 0)
  t.diagnostic(
    `${sent} records, ${unaccounted} unaccounted, ${loss} missing; ${silentMs.length} new owners seen, ms until their first output: median ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`,
  )
  assert.deepEqual(others, {}, text)
  assert.ok(loss <= unaccounted, `${loss} missing, ${unaccounted} unaccounted: ${text}`)
  assert.ok(sunk.gapsMs.length >= kills, 'its partitions had other owners')
})

test(`nats-server killed ${natsKills} times under load: nothing is lost, nothing twice or out of order, state goes on`, {
  timeout: 400_000 + natsKills * 60_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'cut'
  await platform.deploy(name, functionOf({ name, ...chances }))
  const records = Number.POSITIVE_INFINITY
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: 10_000 })
  for (let kill = 0; kill <= natsKills; kill++) {
    if (kill > 0) await faults['nats-server killed']({ platform })
    const { instances } = await platform.client.inspect(name)
    const before = instances[0]?.recordsIn ?? 0
    await platform.until(name, (d) => (d.instances[0]?.recordsIn ?? 0) > before + 10_000)
  }
  traffic.stop()
  const { sent, unaccounted, verdict, text } = await traffic.judged()
  t.diagnostic(`${sent} records, ${natsKills} kills of nats-server`)
  assert.ok(verdict.sound, text)
  assert.equal(unaccounted, 0)
  assert.equal(verdict.counts['output'], sent)
})
