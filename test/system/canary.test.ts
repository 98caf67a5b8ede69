import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

/** Fifty in the long mode: good ones, each to be promoted. */
const goods = Number(process.env['CONCORD_CANARIES'] ?? 1)

const chances = { throwsPerMillion: 0, timersPerMillion: 2_000, asyncPerMillion: 100 }

test('canaries: one takes over by itself, one that throws and one that is slow are rolled back; no record is lost', {
  timeout: 400_000 + goods * 60_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'mine'
  const good = functionOf({ name, ...chances })
  const canary = async (source: string, ...more: string[]) => {
    const file = join(platform.home, `${name}.ts`)
    writeFileSync(file, source)
    return await platform.cli([
      'fn',
      'deploy',
      file,
      '--instances',
      '2',
      '--per-runner',
      '2',
      '--mem',
      '160',
      ...more,
    ])
  }
  const first = await canary(good, '--canary') // there is nothing yet to hold it against
  assert.equal(first.code, 0, first.stderr)
  const traffic = await Traffic.start(t, platform, {
    ...{ name, producers: 2, records: Number.POSITIVE_INFINITY, rate: 5_000 },
  })
  await platform.until(name, ({ recordsIn }) => recordsIn > 5_000)

  for (let version = 2; version < 2 + goods; version++) {
    const passes = await canary(
      `${good}\nconsole.log(${version})`,
      '--canary',
      '30%',
      '--bake',
      '4',
      '--watch',
    )
    assert.equal(passes.code, 0, passes.stderr)
    assert.match(passes.stdout, new RegExp(`mine v${version} has all keys`))
    const { reason } = (await platform.client.versions(name))[0]!
    assert.match(reason ?? '', /^as a canary, at 30 % of the keys: \d+ records, 0 failed/)
  }
  const live = 1 + goods

  const bad = good.replace('fail(0)', "if (number % 50 === 0) throw new Error('a bad version')")
  const throws = await canary(bad, '--canary', '30%', '--bake', '60', '--watch')
  assert.equal(throws.code, 6, throws.stderr)
  assert.match(
    throws.stderr,
    /rolled back, v\d+ runs as before: at 30 % of the keys, after \d+\.\d s: it threw at \d+/,
  )
  assert.match(throws.stderr, /error budget spent: \d+ of \d+ records; none of them lost/)
  assert.match(throws.stderr, /a bad version/)

  const spin = 'for (let i = 0, x = 0; i < 60_000; i++) x = Math.imul(x, 31) + i'
  const slow = await canary(good.replace('fail(0)', spin), '--canary', '30%', '--bake', '60', '--watch')
  assert.equal(slow.code, 6, slow.stderr)
  assert.match(slow.stderr, /rolled back, .* per record as the version before/)

  const last = await platform.until(name, ({ state }) => state === 'running')
  assert.equal(last.version, live)
  traffic.stop()
  const { sent, unaccounted, sunk, verdict, text } = await traffic.judged()
  assert.ok(verdict.sound, text)
  assert.deepEqual([unaccounted, sunk.outputs, sunk.timersFired], [0, sent, sunk.timersSet])
  const versions = await platform.client.versions(name)
  assert.deepEqual(
    versions.slice(0, 3).map(({ version, state }) => [version - live, state]),
    [
      [2, 'failed'],
      [1, 'failed'],
      [0, 'live'],
    ],
  )
})

test('a canary whose outputs are compared takes over if they are the same, and goes back if more differ than may', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const file = join(platform.home, 'tally.ts')
  const deploy = async (value: string, ...more: string[]) => {
    writeFileSync(
      file,
      `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'tally', istreams: { events: groupBy }, ostreams: ['tallies'] },
  processRecord(ctx, record) {
    const count = (ctx.getJson<number>(record.key) ?? 0) + 1
    ctx.setJson(record.key, count)
    ctx.produceRecord('tallies', record.key, ${value})
  },
})
`,
    )
    return await platform.cli(['fn', 'deploy', file, '--mem', '256', ...more])
  }
  const first = await deploy('String(count)')
  assert.equal(first.code, 0, first.stderr)
  let next = 0
  const records = () => Array.from({ length: 100 }, () => ({ key: `key ${next++ % 200}`, value: 'event' }))
  const done = new AbortController()
  const produced = (async () => {
    while (!done.signal.aborted) await platform.client.produce('events', records())
  })()
  const flags = ['--canary', '30%', '--bake', '2', '--max-diff', '2%', '--watch']
  const same = await deploy('count.toString()', ...flags)
  assert.equal(same.code, 0, same.stderr)
  assert.match(same.stdout, /tally v2 has all keys/)
  const { reason } = (await platform.client.versions('tally'))[0]!
  assert.match(reason ?? '', /; 0 of \d{3,} records compared differ/)
  const other = await deploy("count % 10 === 0 ? 'ten' : String(count)", ...flags)
  done.abort()
  await produced
  assert.equal(other.code, 6, other.stderr)
  assert.match(other.stderr, /rolled back, v2 runs .* its outputs differ .*; 2\.00 % are allowed/)
  assert.match(
    other.stderr,
    /the first: events\/\d+ #\d+ "key \d+": "event", tallies "key \d+": "\d*0" before, tallies "key \d+": "ten" now/,
  )
})
