/** Versions that keep state in another shape, as a user meets them: under traffic, promoted, sent back, refused. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Platform, Reader } from './platform.ts'

const keys = 400
const name = 'tally'

/** Which version an output is of. */
const versionOf = ({ value }: { readonly value?: unknown }): number => JSON.parse(String(value))[0]

/** Counts visits by key; its outputs say which version has counted, and how it found the key. */
const source = (read: string, write: string, more = ''): string => `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { visits: groupBy }, ostreams: ['tallies'], onError: 'fail' },
  processRecord(ctx, record) {
    const key = record.keyText()
    const found = ctx.getJson(key)
    const n = (${read} ?? 0) + 1
    ctx.setJson(key, ${write})
    ctx.produceRecord('tallies', key, JSON.stringify([ctx.version, n]))
    if (record.text() === 'bad' && ctx.version === 3) throw new Error('a bad version')
  },
  ${more}
})`
const first = source('found', 'n')
const second = source(
  'found?.n',
  "{ n, shape: 'object' }",
  `migrate(ctx, from) {
    if (from !== 1) throw new Error('from ' + from)
    ctx.setJson({ n: ctx.json(), shape: 'object' })
  },`,
)
const third = source(
  'found?.[1]',
  "['array', n]",
  `migrate(ctx, from) {
    const was = ctx.json()
    if (from !== 2 || was.shape !== 'object') throw new Error('from ' + from + ' ' + ctx.text())
    ctx.setJson(['array', was.n])
  },`,
)

test('state changes its shape under traffic, key by key; a bad version goes back to a shape that the one before reads', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const deploy = async (code: string, ...flags: string[]) => {
    const file = join(platform.home, `${name}.ts`)
    writeFileSync(file, code)
    return await platform.cli(['fn', 'deploy', file, '--instances', '2', ...flags])
  }
  const begun = await deploy(first)
  assert.equal(begun.code, 0, begun.stderr)
  const reader = await Reader.start(t, platform, ['tallies', '--hold'])
  const sent = new Map<string, number>()
  let over = false
  let value = ''
  const traffic = (async () => {
    const { client } = platform
    for (let round = 0; !over; round++) {
      const records = Array.from({ length: 50 }, (_, i) => ({
        key: `key ${(round * 37 + i * 7) % keys}`,
        value: i === 49 ? value : '',
      }))
      await client.produce('visits', records)
      for (const { key } of records) sent.set(key, (sent.get(key) ?? 0) + 1)
      await sleep(5) // so that two busy cores are left something
    }
  })()
  const total = (): number => [...sent.values()].reduce((sum, n) => sum + n, 0)
  const processed = async (more: number) => {
    const until = total() + more
    await reader.read(until)
  }
  await processed(2_000)

  const promoted = await deploy(second)
  assert.equal(promoted.code, 0, promoted.stderr)
  await processed(2_000)
  // Keys that no traffic touches any more are migrated as well.
  await platform.until(name, ({ instances }) => instances.every(({ migrating = 0 }) => migrating === 0))
  const back = await platform.cli(['fn', 'rollback', name, '--to', 'v1'])
  assert.equal(back.code, 5, back.stderr)
  assert.match(back.stderr, /Cannot make v1 of 'tally' live: it cannot read the state, which v2 has migrated/)

  value = 'bad'
  const bad = await deploy(third)
  assert.equal(bad.code, 6, bad.stderr)
  assert.match(bad.stderr, /v3 has a migrate, which also gets the state that v2 wrote: it must leave alone/)
  assert.match(bad.stderr, /v3 has failed, v2 runs as before: .*a bad version/)
  value = ''
  await processed(2_000)
  // As a canary it has half of the keys, until somebody goes back by hand.
  const tried = await deploy(third, '--canary', '50%', '--bake', '60')
  assert.equal(tried.code, 0, tried.stderr)
  await platform.until(name, () => reader.records.some((record) => versionOf(record) === 4))
  await processed(2_000)
  const left = await platform.cli(['fn', 'rollback', name])
  assert.equal(left.code, 0, left.stderr)
  await platform.until(name, ({ state, version }) => state === 'running' && version === 2)
  await processed(1_000)
  over = true
  await traffic
  await reader.read(total())

  // Version by version a key's counts go on without a gap: v2 from where v1 was, and again from where it was before v3 and v4.
  const counts = new Map<string, Map<number, number[]>>()
  for (const { key, value } of reader.records) {
    const [version, n] = JSON.parse(String(value)) as [number, number]
    const byVersion = counts.get(String(key)) ?? new Map<number, number[]>()
    counts.set(String(key), byVersion.set(version, [...(byVersion.get(version) ?? []), n]))
  }
  let gone = 0
  for (const [key, visits] of sent) {
    const by = counts.get(key)!
    const kept = [...(by.get(1) ?? []), ...(by.get(2) ?? [])]
    const lost = [...(by.get(3) ?? []), ...(by.get(4) ?? [])]
    gone += lost.length
    assert.deepEqual(
      kept,
      kept.map((_, i) => i + 1),
      `${key}: ${JSON.stringify([...by])}`,
    )
    assert.equal(kept.length + lost.length, visits, key)
  }
  t.diagnostic(
    `${total()} records of ${sent.size} keys; v3 and v4 counted ${gone} before they were sent back`,
  )
  // What went with them is said, to the record; and stays said when an owner of the state is another one.
  const told = async (): Promise<void> => {
    const { ledger } = await platform.until(name, ({ ledger }) => ledger[0]!.inFlight === 0)
    assert.equal(ledger[0]!.stateLost, gone)
  }
  assert.ok(gone > 0)
  await told()
  const shown = await platform.cli(['fn', 'inspect', name])
  assert.match(shown.stdout, new RegExp(`STATE LOST\\n *visits .* ${gone}\\n`))
  const before = (await platform.client.inspect(name)).instances[0]!
  await platform.json(['kill', '-id', before.id, '--restart'])
  await platform.until(name, (detail) => {
    const { taskId } = detail.instances[0]!
    return detail.state === 'running' && taskId !== undefined && taskId !== before.taskId
  })
  await told()
  const versions = await platform.client.versions(name)
  assert.deepEqual(
    versions.map(({ version, state }) => [version, state]),
    [
      [4, 'rolledBack'],
      [3, 'failed'],
      [2, 'live'],
      [1, 'replaced'],
    ],
  )
})
