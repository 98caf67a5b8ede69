import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { functionOf, partitions } from './load/records.ts'
import { type Gap, Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

/** Records a second, of both producers together. */
const rate = Number(process.env['CONCORD_HANDOVER_RATE'] ?? 20_000)
/** Partitions to be handed over at least; a thousand in the long mode. */
const handovers = Number(process.env['CONCORD_HANDOVERS'] ?? 50)
/** nats-servers: 1 or 3. */
const servers = Number(process.env['CONCORD_HANDOVER_NATS'] ?? 1)
/** Who takes: runners that have long been at work, then as many that have just begun; or one kind alone. */
const takers = process.env['CONCORD_HANDOVER_TAKERS'] ?? 'both'
/** Who has put out records for so long has worked. */
const workedMs = 10_000
/** Instances at most. */
const most = Number(process.env['CONCORD_HANDOVER_INSTANCES'] ?? 3)
const name = 'moves'

test(`${handovers} partitions are handed over under load${servers === 1 ? '' : ` on ${servers} nats-servers`}: nothing lost, nothing twice, in order, with their state and timers (I5)`, {
  timeout: 400_000 + handovers * 2_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, servers === 1 ? [] : ['--nats', String(servers)])
  const chances = { throwsPerMillion: 0, timersPerMillion: 1000, asyncPerMillion: 0 }
  await platform.deploy(name, functionOf({ name, ...chances }), ['--instances', String(most)])
  const records = Number.POSITIVE_INFINITY
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: rate / 2 })
  await platform.json(['fn', 'move', name, '0', '--to', `${name}-${most - 1}`])
  await platform.json(['fn', 'move', name, '--back'])
  await platform.until(name, ({ instances }) => instances.every(hasByNumber))
  let moved = 2
  const each = takers === 'both' ? handovers / 2 : handovers
  if (takers !== 'new') moved += await moveByHand(platform, each)
  if (takers !== 'worked') moved += await moveByNumber(platform, each)
  traffic.stop()
  const { sent, seconds, unaccounted, sunk, verdict, text } = await traffic.judged()
  const { gaps, steadyMs } = sunk
  t.diagnostic(
    `${sent} records at ${Math.round(sent / seconds)}/s, ${moved} moves asked for, ${gaps.length} seen`,
  )
  t.diagnostic(
    `a partition that stays where it is: next output after ${steadyMs.median} ms, p99 ${steadyMs.p99}`,
  )
  tellGaps(
    t,
    'worked',
    gaps.filter(({ ageMs }) => ageMs >= workedMs),
  )
  tellGaps(
    t,
    'just begun',
    gaps.filter(({ ageMs }) => ageMs < workedMs),
  )
  assert.ok(verdict.sound, text)
  assert.equal(unaccounted, 0)
  assert.ok(sunk.timersSet > 0)
  assert.equal(sunk.timersFired, sunk.timersSet, 'timers went along')
  assert.equal(verdict.counts['output'], sent)
  assert.ok(gaps.length >= moved / 2, 'outputs of moved partitions came from another instance')
})

/** Partitions go round among instances that have worked for long, by an operator's word: no process starts. */
async function moveByHand(platform: Platform, wanted: number): Promise<number> {
  const { client } = platform
  const workedRecords = (rate * workedMs) / 1000 / most
  await platform.until(name, ({ instances }) =>
    instances.every(({ recordsIn }) => recordsIn > 1.2 * workedRecords),
  )
  const homes = Array.from({ length: partitions }, (_, p) => p % most)
  let moved = 0
  for (let round = 0; moved < wanted; round++) {
    const to = round % most
    const inTurn = homes.map((_, i) => (i + 4 * round) % partitions)
    const going = inTurn.filter((p) => homes[p] !== to).slice(0, 4)
    await client.move(name, going, `${name}-${to}`)
    for (const p of going) homes[p] = to
    const isThere = (has: readonly number[] = []): boolean => going.every((p) => has.includes(p))
    await platform.until(name, ({ instances }) => isThere(instances[to]?.partitions), undefined, 250)
    moved += going.length
  }
  await client.moveBack(name)
  await platform.until(name, ({ instances }) => instances.every(hasByNumber), undefined, 250)
  return moved + homes.filter((home, p) => home !== p % most).length
}

function hasByNumber({
  index,
  partitions: has = [],
}: {
  index: number
  partitions?: readonly number[] | undefined
}): boolean {
  return has.every((p) => p % most === index) && has.length === Math.ceil((partitions - index) / most)
}

/** Instances come and go: partitions go to those that have just been started, and to those that stay. */
async function moveByNumber(platform: Platform, wanted: number): Promise<number> {
  let moved = 0
  for (let instances = most; moved < wanted; ) {
    const next = (instances % most) + 1
    await platform.client.scale(name, next)
    await platform.until(
      name,
      (d) => d.instances.length === next && d.instancesRunning === next && isSpread(d),
    )
    moved += movesBetween(instances, next)
    instances = next
  }
  return moved
}

/** Each partition has one owner: none is on its way. */
function isSpread({
  instances,
}: {
  instances: readonly { partitions?: readonly number[] | undefined }[]
}): boolean {
  const sizes = instances.map(({ partitions: has = [] }) => has.length)
  return Math.max(...sizes) - Math.min(...sizes) <= 1
}

/** Partition p belongs to the (p mod n)-th instance. */
function movesBetween(before: number, after: number): number {
  return Array.from({ length: partitions }, (_, p) => p).filter((p) => p % before !== p % after).length
}

function tellGaps(t: TestContext, who: string, gaps: readonly Gap[]): void {
  const sorted = gaps.map(({ ms }) => ms).sort((a, b) => a - b)
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1)
  if (sorted.length > 0)
    t.diagnostic(
      `${sorted.length} moves to a runner that has ${who}: gap ms median ${at(0.5)}, 90 % ${at(0.9)}, p99 ${at(0.99)}, most ${at(1)}`,
    )
}
