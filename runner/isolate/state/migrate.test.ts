/** State in formats of several versions, in isolates over one memory. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { replay, runtimeText } from '../../../sdk/replay/index.ts'
import type { InputFrame, SingleIsolate } from '../index.ts'
import {
  definitionOf,
  fn,
  frame,
  nowMs,
  record,
  type StartOptions,
  start,
  texts,
} from '../testing/harness.ts'

/** Counts by key: v1 in a number, later versions in an object that names them. */
const counting = (version: number, more = ''): string =>
  fn(
    `
  const key = record.keyText()
  if (record.text() === 'loop') for (;;);
  const n = (${version} === 1 ? (ctx.getJson(key) ?? 0) : (ctx.getJson(key)?.n ?? 0)) + 1
  ctx.setJson(key, ${version} === 1 ? n : { n, by: ${version} })
  ctx.produceRecord('out', key, 'v${version} ' + key + n)`,
    version === 1
      ? more
      : `migrate(ctx, from) {
      const { n, by } = from === 1 ? { n: ctx.json(), by: 1 } : ctx.json()
      if (by !== from) throw new Error('from ' + from + ', and written by ' + by)
      ctx.setJson({ n, by: ${version} })
    }, ${more}`,
  )

const keyed = (...keys: readonly string[]): InputFrame => frame(keys.map((key) => record('', key)))

/** To the end, in as many batches as it takes. */
async function runAll(isolate: SingleIsolate, input: InputFrame, nowMs: number): Promise<string[]> {
  const seen: string[] = []
  for (let skip = 0; skip < input.header.count; ) {
    const result = await isolate.run([{ ...input, skip }], nowMs)
    assert.equal(result.fatal, undefined)
    seen.push(...texts(result))
    skip += result.records
  }
  return seen
}

async function isolates(t: TestContext) {
  const one = (await start(counting(1))).instance
  const format = { own: 2, kept: 1 }
  const two = (await start(counting(2), { version: 2, replaces: 1, format })).instance
  t.after(() => Promise.all([one.destroy(), two.destroy()]))
  return { one, two }
}

test('SingleIsolate on trial migrates what it touches, and the version before finds its entries unchanged', async (t) => {
  const { one, two } = await isolates(t)
  await runAll(one, keyed('a', 'a', 'b'), nowMs)
  await two.takeOver(one)
  assert.deepEqual(await runAll(two, keyed('a', 'new'), nowMs), ['v2 a3', 'v2 new1'])
  assert.equal(two.stats().migrating, 0, 'what is on trial is not migrated beyond that')
  await one.takeOver(two)
  assert.deepEqual(await runAll(one, keyed('a', 'b', 'new'), nowMs), ['v1 a3', 'v1 b2', 'v1 new1'])
  await two.takeOver(one) // a record by the other one, while on trial
  assert.deepEqual(await runAll(two, keyed('a', 'b'), nowMs), ['v2 a4', 'v2 b3'])
  await one.takeOver(two)
  await one.settleFormat()
  assert.deepEqual(await runAll(one, keyed('a'), nowMs), ['v1 a4'])
  await two.takeOver(one)
  assert.deepEqual(await runAll(two, keyed('a'), nowMs), ['v2 a5'], 'nothing is left of its first time')
})

test('SingleIsolate that was promoted after another takes state in which that one is not promoted yet', async (t) => {
  const { one, two } = await isolates(t)
  await runAll(one, keyed('a', 'b'), nowMs)
  await two.takeOver(one)
  await runAll(two, keyed('a'), nowMs)
  const format = { own: 3, kept: 2, before: [1] }
  const three = (await start(counting(3), { version: 3, replaces: 2, format })).instance
  t.after(() => three.destroy())
  await three.settleFormat(3)
  assert.deepEqual(three.format, { own: 3, kept: 3, before: [1, 2] })
  await three.takeOver(two)
  assert.deepEqual(await runAll(three, keyed('a', 'b'), nowMs), ['v3 a3', 'v3 b2'])
})

test('SingleIsolate of a promoted version migrates the rest by itself, also what an earlier isolate has left', async (t) => {
  const { one, two } = await isolates(t)
  const keys = Array.from({ length: 500 }, (_, i) => `key ${i}`)
  await runAll(one, keyed(...keys), nowMs)
  await two.takeOver(one)
  await runAll(two, keyed('key 1'), nowMs)
  await two.settleFormat(2)
  assert.equal(two.stats().migrating, 1)
  await runAll(two, keyed('key 2'), nowMs)
  const result = await two.run([frame([record('loop')])], nowMs)
  assert.equal(result.fatal?.code, 'ERR_DEADLINE')
  assert.ok(await two.ended())
  const format = { own: 2, kept: 2 }
  const again = (await start(counting(2), { version: 2, state: two.state, format })).instance
  t.after(() => again.destroy())
  let ms = nowMs
  for (let batches = 0; again.stats().migrating > 0; batches++) {
    assert.ok(batches < 100, 'it ends')
    ms = again.nextTimerMs!
    assert.ok(Number.isFinite(ms), 'it asks for a batch of its own')
    await again.run([], ms)
  }
  assert.equal(again.stats().stateEntries, 500)
  assert.equal(again.nextTimerMs, undefined)
  assert.deepEqual(await runAll(again, keyed('key 1', 'key 499'), ms), ['v2 key 13', 'v2 key 4992'])
  const older = (await start(counting(1), {})).instance
  t.after(() => older.destroy())
  await older.takeOver(again)
  const refused = await older.run([keyed('key 1')], ms)
  assert.match(
    String(refused.fatal),
    /it is in the format of version 2, and this version reads that of version 1/,
  )
})

/** Of v2, whose `migrate` does something more, in an isolate that has the state of v1 to tidy: entries of so many keys. */
async function untidy(
  t: TestContext,
  entries: number,
  parts: { readonly migrate: string; readonly record?: string },
  options: StartOptions = {},
) {
  const one = (await start(counting(1))).instance
  t.after(() => one.destroy())
  await runAll(one, keyed(...Array.from({ length: entries }, (_, i) => `key ${i}`)), nowMs)
  const source = fn(parts.record ?? '', `migrate(ctx) { ${parts.migrate} },`)
  const { instance, lines } = await start(source, { version: 2, format: { own: 2, kept: 2 }, ...options })
  t.after(() => instance.destroy().catch(() => undefined))
  await instance.takeOver(one)
  assert.equal(instance.stats().migrating, 1)
  return { instance, lines, source }
}

test('SingleIsolate: a slow migrate makes no call too long, since tidying stops when the batch is asked to end', async (t) => {
  const { instance } = await untidy(
    t,
    1000,
    { migrate: 'let sum = 0; for (let i = 0; i < 3_000_000; i++) sum += i % 7; ctx.setJson(sum)' },
    { sliceMs: 50 },
  )
  const input = frame(Array.from({ length: 6000 }, () => record('', 'other')))
  await runAll(instance, input, nowMs)
  await runAll(instance, input, nowMs)
  assert.equal(instance.stats().migrating, 1, 'what is left waits')
})

test('SingleIsolate: a batch that leaves no time for tidying is followed by one for tidying alone, and a replay tidies as much', async (t) => {
  const { instance, lines, source } = await untidy(
    t,
    200,
    {
      migrate: "console.info('migrates'); ctx.setJson(Math.random())",
      record: `
  if (record.text() === 'wait') return new Promise((resolve) => setTimeout(resolve, 1))
  ctx.produceRecord('out', record.key, String(ctx.getJson(record.key)))`,
    },
    { tapBytes: 64 * 2 ** 20 },
  )
  const migrated = (): number => lines.filter(({ message }) => message.includes('migrates')).length
  const { pending } = await instance.run([frame([record('wait')])], nowMs)
  assert.ok(pending)
  instance.askToYield()
  assert.equal((await instance.resume()).records, 1)
  assert.equal(migrated(), 0, 'there was no time')
  const input = frame([record('', 'key 1'), record('', 'key 199')])
  assert.equal((await instance.run([input], nowMs)).records, 0)
  assert.equal(migrated(), 200)
  assert.equal((await instance.run([input], nowMs)).records, 2)
  assert.equal(instance.stats().migrating, 0)
  const { chapters } = instance.tapped()
  const again = await replay(chapters.at(-1)!, { runtime: runtimeText(), definition: definitionOf(source) })
  assert.deepEqual(
    again.calls.map(({ same, records }) => ({ same, records })),
    [0, 1, 0, 2].map((records) => ({ same: true, records })),
  )
})

test('SingleIsolate: an endless migrate during tidying is reported as such, and no record is blamed', async (t) => {
  const manifest = { limits: { callbackMs: 200 } }
  const { instance } = await untidy(t, 10, { migrate: 'for (;;);' }, { manifest })
  const { fatal, records, recordAtHand } = await instance.run([frame([record('')])], nowMs)
  assert.match(
    String(fatal),
    /migrate, of an entry of state that nobody has touched, took longer than its limit of 200 ms/,
  )
  assert.deepEqual({ records, recordAtHand }, { records: 1, recordAtHand: false })
})
