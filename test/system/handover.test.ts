import assert from 'node:assert/strict'
import { test } from 'node:test'
import { functionOf, partitions } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

/** Records a second, of both producers together. */
const rate = Number(process.env['CONCORD_HANDOVER_RATE'] ?? 20_000)
/** Partitions to be handed over at least; a thousand in the long mode. */
const handovers = Number(process.env['CONCORD_HANDOVERS'] ?? 50)
/** nats-servers: 1 or 3. */
const servers = Number(process.env['CONCORD_HANDOVER_NATS'] ?? 1)

test(`${handovers} partitions are handed over under load${servers === 1 ? '' : ` on ${servers} nats-servers`}: nothing lost, nothing twice, in order, with their state and timers (I5)`, {
  timeout: 400_000 + handovers * 2_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, servers === 1 ? [] : ['--nats', String(servers)])
  const name = 'moves'
  const chances = { throwsPerMillion: 0, timersPerMillion: 1000, asyncPerMillion: 0 }
  await platform.deploy(name, functionOf({ name, ...chances }))
  const records = Number.POSITIVE_INFINITY
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: rate / 2 })
  let moved = 0
  for (let instances = 1; moved < handovers; ) {
    const next = (instances % 3) + 1
    await platform.json(['fn', 'scale', name, String(next)])
    moved += movesBetween(instances, next)
    instances = next
  }
  traffic.stop()
  const { sent, seconds, unaccounted, sunk, verdict, text } = await traffic.judged()
  const gapsMs = [...sunk.gapsMs].sort((a, b) => a - b)
  const at = (share: number): number => Math.round(gapsMs[Math.floor((gapsMs.length - 1) * share)] ?? 0)
  t.diagnostic(
    `${sent} records at ${Math.round(sent / seconds)}/s, ${moved} moves asked for, ${gapsMs.length} seen, gap ms: median ${at(0.5)}, p99 ${at(0.99)}`,
  )
  assert.ok(verdict.sound, text)
  assert.equal(unaccounted, 0)
  assert.ok(sunk.timersSet > 0)
  assert.equal(sunk.timersFired, sunk.timersSet, 'timers went along')
  assert.equal(verdict.counts['output'], sent)
  assert.ok(gapsMs.length >= handovers / 2, 'outputs of moved partitions came from another instance')
})

/** Partition p belongs to the (p mod n)-th instance. */
function movesBetween(before: number, after: number): number {
  return Array.from({ length: partitions }, (_, p) => p).filter((p) => p % before !== p % after).length
}
