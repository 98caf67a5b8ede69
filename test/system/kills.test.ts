import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ends } from './load/ends.ts'
import { faults } from './load/faults.ts'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { heals, projectOf, rateOf, worked } from './load/worked.ts'
import { Platform } from './platform.ts'

/** A hundred in the long mode; of nats-server fifty. */
const kills = Number(process.env['CONCORD_KILLS'] ?? 3)
const natsKills = Number(process.env['CONCORD_NATS_KILLS'] ?? 1)
/** So that a window has few records. */
const valueBytes = 500
const chances = { throwsPerMillion: 0, timersPerMillion: 0, asyncPerMillion: 0 }

test(`a runner killed ${kills} times under load: what is missing is accounted for, nothing is twice or out of order (I7)`, {
  timeout: 400_000 + kills * 90_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'killed'
  writeFileSync(join(platform.home, `${name}.ts`), functionOf({ name, ...chances, keepsState: false }))
  await platform.json(['deploy', projectOf(platform, name)])
  const records = Number.POSITIVE_INFINITY
  const traffic = await Traffic.start(t, platform, {
    name,
    producers: 2,
    records,
    rate: rateOf(kills),
    valueBytes,
  })
  let before: number | undefined
  const ends = new Ends()
  const works = ends.seen(
    ({ instances: [one] }) => one?.pid !== undefined && one.pid !== before && one.recordsIn > 5_000,
  )
  for (let kill = 0; kill < kills; kill++) {
    const working = await worked(platform, name, kills, works)
    before = working.instances[0]!.pid!
    process.kill(before, 'SIGKILL')
  }
  const last = await platform.until(name, (d) => d.state === 'running' && works(d))
  assert.equal(last.instances.length, 1)
  traffic.stop()
  const { sent, unaccounted, loss, sunk } = await traffic.judged(kills)
  const silentMs = sunk.ownersMs.map(Math.round)
  const sorted = silentMs.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
  const how = heals(kills) ? '' : ' with the back-off of kills that follow at once (more than 10: without)'
  t.diagnostic(`${sent} records, ${unaccounted} unaccounted, ${loss} missing`)
  t.diagnostic(
    `next output of all partitions after ${silentMs.length} kills${how}: median ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms; in turn: ${silentMs.join(', ')}`,
  )
  for (const end of ends.unasked) t.diagnostic(`ended by itself: ${end}`)
  assert.deepEqual(ends.unasked, [], 'none has ended but by a kill')
  assert.equal(silentMs.length, kills, 'each kill brought one other owner')
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
