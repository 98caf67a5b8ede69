import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { Platform, Reader } from './platform.ts'

const started = Platform.ofFile()

/** Counts records by key, and answers each with the count. */
const count = (name: string): string => `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'] },
  processRecord(ctx, record) {
    const key = record.key.length === 0 ? 'none' : new TextDecoder().decode(record.key)
    const total = (ctx.getJson(key) ?? 0) + 1
    ctx.setJson(key, total)
    ctx.produceRecord('${name}-out', key, String(total))
  },
})
`

const keys = Array.from({ length: 40 }, (_, i) => `key-${i}`)
/** Each key once. */
const round = `${keys.map((key) => JSON.stringify({ key, value: 'x' })).join('\n')}\n`

async function produce(name: string): Promise<void> {
  await started().json(['produce', `${name}-in`, '--ndjson'], round)
}

const isIdle =
  (processed: number) =>
  (detail: FunctionDetail): boolean =>
    detail.state === 'running' && detail.ledger[0]!.processed + detail.ledger[0]!.unaccounted === processed

/** The highest count that was answered for each key among records `from` on. */
function counts(reader: Reader, from = 0): Map<string, number> {
  const found = new Map<string, number>()
  for (const { key, value } of reader.records.slice(from)) found.set(String(key), Number(value))
  return found
}

const checkpointed = (detail: FunctionDetail, afterMs: number): boolean =>
  (detail.instances[0]?.checkpoint?.atMs ?? 0) > afterMs

test('a runner killed goes on from its last checkpoint; what the state lacks is what the ledger says', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const name = 'struck'
  await platform.deployIn(t, name, count(name))
  const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
  await produce(name)
  await produce(name)
  await platform.until(name, isIdle(80))
  const atMs = Date.now()
  const before = await platform.until(name, (detail) => checkpointed(detail, atMs))
  assert.ok(before.instances[0]!.checkpoint!.storedBytes > 0)
  await produce(name) // after the checkpoint, most likely
  await platform.until(name, isIdle(120))
  await out.read(120)
  process.kill(before.instances[0]!.pid!, 'SIGKILL')
  await platform.until(name, (detail) => detail.state === 'running' && detail.instances[0]!.restarts === 1)
  await produce(name)
  await out.read(160)
  const after = await platform.until(
    name,
    (detail) => isIdle(160)(detail) && detail.instances[0]!.recordsIn === 40, // so heard from after all of them
  )
  const { stateLost } = after.ledger[0]!
  const contained = [...counts(out, 120).values()].reduce((sum, total) => sum + total, 0)
  assert.equal(contained, 160 - stateLost)
  assert.ok(stateLost <= 40, `${stateLost} lost: the checkpoint had two rounds`)
  assert.equal(after.ledger[0]!.unaccounted, 0)
})

test('what a runner had in its state when it was killed before its first checkpoint is counted', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const name = 'young'
  await platform.deployIn(t, name, count(name))
  const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
  const { instances } = await platform.until(name, (detail) => detail.state === 'running')
  await produce(name)
  await out.read(40)
  process.kill(instances[0]!.pid!, 'SIGKILL') // mostly within the second before the first cut
  await platform.until(name, (detail) => detail.state === 'running' && detail.instances[0]!.restarts === 1)
  await produce(name)
  await out.read(80)
  const after = await platform.until(
    name,
    (detail) => isIdle(80)(detail) && detail.instances[0]!.recordsIn === 40,
  )
  const contained = [...counts(out, 40).values()].reduce((sum, total) => sum + total, 0)
  assert.equal(contained, 80 - after.ledger[0]!.stateLost)
})

test('an orderly end loses nothing: stop, new version, failure, and the platform down and up', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const name = 'orderly'
  await platform.deployIn(t, name, count(name))
  let rounds = 0
  const check = async (what: string): Promise<void> => {
    const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
    await produce(name)
    rounds += 1
    await out.read(40)
    assert.deepEqual(new Set(counts(out).values()), new Set([rounds]), what)
    assert.equal((await platform.client.inspect(name)).ledger[0]!.stateLost, 0, what)
    await out.end()
  }
  await check('a first round')
  const first = await platform.client.inspect(name)
  await platform.json(['kill', '-id', `${name}-0`, '--restart'])
  await platform.until(
    name,
    (d) => d.state === 'running' && d.instances[0]!.taskId !== first.instances[0]!.taskId,
  )
  await check('a restart')
  await platform.deploy(name, `${count(name)}// changed\nexport const version = 2\n`)
  await platform.until(name, (d) => d.state === 'running' && d.instances[0]?.version === 2)
  await check('a new version')
  await platform.down()
  await platform.up()
  await platform.until(name, (d) => d.state === 'running')
  await check('down and up')
  for (const checkpoint of [false, {}]) {
    const file = join(platform.home, `${name}.jsonc`)
    writeFileSync(file, JSON.stringify({ main: `./${name}.ts`, checkpoint }))
    await platform.json(['deploy', file])
    rounds = 0
    await check(checkpoint === false ? 'without checkpoints' : 'with them again')
  }
})

test('a timer that fell due while no owner was there fires on return', { timeout: 400_000 }, async (t) => {
  const platform = started()
  await platform.deployIn(
    t,
    'late',
    `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'late', istreams: { 'late-in': groupBy }, ostreams: ['late-out'] },
  processRecord(ctx, record) { ctx.setState('said', record.text()); ctx.setTimer('again', ctx.nowMs() + 2000) },
  processTimer(ctx, key) { ctx.produceRecord('late-out', key, ctx.getState('said')) },
})
`,
  )
  const out = await Reader.start(t, platform, ['late-out', '--hold'])
  await platform.json(['produce', 'late-in'], 'hello\n')
  const before = await platform.until('late', (d) => d.state === 'running' && d.ledger[0]!.processed === 1)
  await platform.json(['kill', '-id', 'late-0', '--restart'])
  await platform.until('late', (d) => d.instances[0]!.taskId !== before.instances[0]!.taskId)
  await out.read(1)
  assert.equal(out.records[0]!['value'], 'hello')
})

test('fn rm takes the state along; a function of the same name begins anew', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  const name = 'removed'
  for (const again of [false, true]) {
    await platform.deploy(name, count(name))
    const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
    await produce(name)
    await out.read(40)
    assert.deepEqual(new Set(counts(out).values()), new Set([1]), again ? 'the second one' : 'the first one')
    await out.end()
    await platform.json(['fn', 'rm', name])
  }
})
