import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Platform, Reader } from './platform.ts'

const keys = 50

/** Passes lines on, keyed by the number in them; it may take its time to start. */
const keyed = (initMs: number) => `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'key-lines', istreams: { 'plain-lines': groupBy }, ostreams: ['keyed-lines'] },
  async init() { console.log('init begins'); await new Promise((resolve) => setTimeout(resolve, ${initMs})) },
  processRecord(ctx, record) {
    ctx.produceRecord('keyed-lines', 'key' + Number(record.text()) % ${keys}, record.value)
  },
})`
const shuffler = `
import { defineFunction, shuffle } from 'concord'
export default defineFunction({
  metadata: { name: 'audit', istreams: { 'keyed-lines': shuffle }, ostreams: [] },
  processRecord() {},
})`
const counter = `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'count-keys', istreams: { 'keyed-lines': groupBy }, ostreams: ['key-counts'] },
  processRecord(ctx, record) {
    const count = ctx.counter(record.keyText()).add(1)
    ctx.produceRecord('key-counts', record.key, String(count))
  },
})`

/** Follows the counts; a key that is counted in two places has one of its counts twice. */
async function followCounts(t: TestContext, platform: Platform) {
  await platform.json(['stream', 'create', 'key-counts'])
  const reader = await Reader.start(t, platform, ['key-counts', '--hold'])
  return async (total: number) => {
    await reader.read(total)
    const counts = new Map<string, number[]>()
    for (const { key, value } of reader.records)
      counts.set(String(key), [...(counts.get(String(key)) ?? []), Number(value)])
    const apart = [...counts]
      .filter(([, seen]) => seen.some((count, i) => count !== i + 1))
      .map(([key]) => key)
    assert.deepEqual(apart, [], 'keys whose counts are not 1, 2, 3 …')
  }
}

const lines = Array.from({ length: 20_000 }, (_, i) => ({ value: String(i) })) // some batches

test('a function that is starting heeds a reader that groups by key and was deployed meanwhile', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('audit', shuffler)
  const judge = await followCounts(t, platform)
  await platform.deploy('key-lines', keyed(4000), ['--no-wait'])
  await platform.untilLogged('key-lines', /init begins/)
  await platform.deploy('count-keys', counter, ['--no-wait'])
  for (const name of ['key-lines', 'count-keys'])
    await platform.until(name, ({ state }) => state === 'running')
  await platform.client.produce('plain-lines', lines)
  await judge(lines.length)
})

test('a reader that groups by key finds each key in one place, although it came while records were spread', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('audit', shuffler)
  await platform.deploy('key-lines', keyed(0))
  const judge = await followCounts(t, platform)
  let over = false
  const { client } = platform
  const producing = (async () => {
    while (!over) await client.produce('plain-lines', lines)
  })()
  await platform.deploy('count-keys', counter)
  over = true
  await producing
  const { ledger } = await platform.until('count-keys', ({ ledger }) => ledger[0]?.inFlight === 0)
  await judge(ledger[0]!.processed)
})
