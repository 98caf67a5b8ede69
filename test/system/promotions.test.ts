/** Promotions and stored state: two of which it knows nothing, since its runner was killed; and one that could not read it. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { Platform, Reader } from './platform.ts'

const started = Platform.ofFile()
const name = 'steps'
const keys = Array.from({ length: 40 }, (_, i) => `key-${i}`)
const [half, others] = [keys.slice(0, 20), keys.slice(20)]

/** Counts records by key, and answers each with its version and the count. */
const source = (read: string, write: string, migrate = ''): string => `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'] },
  processRecord(ctx, record) {
    const found = ctx.getJson(record.keyText())
    const n = (${read} ?? 0) + 1
    ctx.setJson(record.keyText(), ${write})
    ctx.produceRecord('${name}-out', record.keyText(), JSON.stringify([ctx.version, n]))
  },
  ${migrate}
})`
const first = source('found', 'n')
const second = source('found?.n', '{ n }', 'migrate(ctx) { ctx.setJson({ n: ctx.json() }) },')
const third = source(
  'found?.[0]',
  '[n]',
  `migrate(ctx, from) {
    const was = ctx.json()
    if (from === 1 ? typeof was !== 'number' : typeof was.n !== 'number') throw new Error('v' + from + ' kept ' + ctx.text())
    ctx.setJson([from === 1 ? was : was.n])
  },`,
)

test('state that was stored before two promotions is in the shape of the second one, key by key', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  t.after(() => platform.client.remove(name, { drop: true }))
  const deploy = async (code: string, trial: object, flags: readonly string[] = []): Promise<void> => {
    const folder = join(platform.home, name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'index.ts'), code)
    const manifest = { main: 'index.ts', trial, checkpoint: { everyMs: 15_000 } }
    writeFileSync(join(folder, 'concord.jsonc'), JSON.stringify(manifest))
    await platform.json(['fn', 'deploy', folder, ...flags])
  }
  await deploy(first, {})
  const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
  const produce = async (some: readonly string[]): Promise<string[]> => {
    const before = out.records.length
    const lines = some.map((key) => JSON.stringify({ key, value: 'x' }))
    await platform.json(['produce', `${name}-in`, '--ndjson'], `${lines.join('\n')}\n`)
    await out.read(before + some.length)
    return out.records.slice(before).map(({ value }) => String(value))
  }
  const isLive = (number: number) => (detail: FunctionDetail) =>
    detail.state === 'running' && detail.live === number
  await produce(keys)

  // Its trial is long enough for a checkpoint, in which its format is open.
  await deploy(second, { records: 40, ms: 600_000 }, ['--no-wait'])
  await platform.until(name, ({ instances }) => instances[0]?.version === 2)
  for (const answer of await produce(half)) assert.equal(answer, '[2,2]')
  const atMs = Date.now()
  await platform.until(name, ({ instances }) => (instances[0]?.checkpoint?.atMs ?? 0) > atMs)
  // Both are promoted before the next checkpoint.
  await produce(others)
  await platform.until(name, isLive(2))
  await deploy(third, { ms: 500 })
  const { instances } = await platform.until(name, isLive(3))
  process.kill(instances[0]!.pid!, 'SIGKILL')
  await platform.until(name, (detail) => isLive(3)(detail) && detail.instances[0]!.restarts === 1)

  for (const answer of await produce(half)) assert.equal(answer, '[3,3]')
  const counted = (await produce(others)).map((answer) => JSON.parse(answer) as [number, number])
  const { ledger } = await platform.until(name, (detail) => detail.instances[0]!.recordsIn === 40)
  const { stateLost, unaccounted } = ledger[0]!
  assert.ok(stateLost <= others.length, `${stateLost}: only what came after the checkpoint`)
  assert.deepEqual([counted.reduce((sum, [, n]) => sum + n, 0), unaccounted], [60 - stateLost, 0])
})

test('a former shadow that cannot read the state any more is not promoted, and the words say what to do instead', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const fn = 'late'
  const code = (more: string): string => `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${fn}', istreams: { '${fn}-in': groupBy } },
  processRecord(ctx, record) { ctx.setJson(record.key, ${more}
})`
  await platform.deployIn(t, fn, code('1) },'))
  await platform.deploy(fn, code('2) },'), ['--shadow', '--bake', '3600'])
  await platform.until(fn, ({ shadow }) => shadow?.instances === 1)
  await platform.deploy(fn, code('{ n: 1 }) }, migrate(ctx) { ctx.setJson({ n: ctx.json() }) },'))
  const before = await platform.client.inspect(fn)
  for (const to of [[], ['--to', 'v1']]) {
    const refused = await platform.cli(['fn', 'promote', fn, ...to])
    assert.equal(refused.code, 5, refused.stderr)
    assert.match(
      refused.stderr,
      /Cannot make v\d of 'late' live: it cannot read the state, which v3 has migrated\. Deploy its/,
    )
  }
  const { state, version, live } = await platform.client.inspect(fn)
  assert.deepEqual([state, version, live], ['running', before.version, 3])
})
