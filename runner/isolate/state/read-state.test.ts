import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PartitionState } from '../../../sdk/api/state.ts'
import type { InputFrame, Isolate, SingleIsolate } from '../index.ts'
import { fn, frame, nowMs, record, start } from '../testing/harness.ts'
import { readState } from './read-state.ts'

const base64 = (key: string): string => Buffer.from(key).toString('base64')

/** Until memory is there for what the record stores. */
async function store(instance: SingleIsolate, input: InputFrame): Promise<void> {
  for (let skip = 0; skip < input.header.count; )
    skip += (await instance.run([{ ...input, skip }], nowMs)).records
}

/** The only arena of an isolate. */
function read(isolate: Pick<Isolate, 'state' | 'format'>, key?: string, atMs = nowMs): PartitionState {
  const [row] = readState(isolate, [0], atMs, { key: key && base64(key) })
  return row!
}

test('readState says what a key has, by kind, as the author sees it, and no more of it than fits', async (t) => {
  const { instance } = await start(
    fn(
      `const key = record.keyText()
      if (record.text() !== '') return void ctx.counter('other ' + record.text()).add()
      ctx.setJson(key, { n: 1 }, { ttlMs: 1000 })
      ctx.counter(key).add(7)
      for (let i = 0; i < 150; i++) ctx.list(key, { max: 120 }).push(i)
      ctx.windows(key, { size: 10 }).add(25, 3)
      ctx.windows(key, { size: 10 }).add(4, 2)
      ctx.setTimer(key, ctx.nowMs() + 60_000)
      ctx.setTimer(key, ctx.nowMs() + 30_000)
      ctx.setTimer(key + '!', ctx.nowMs() + 30_000)
      ctx.setState('bytes', new Uint8Array([255, 0]))
      ctx.setState('long', 'é'.repeat(100_000))
      ctx.setState('quotes', '"'.repeat(50_000))`,
      'processTimer() {},',
    ),
  )
  t.after(() => instance.destroy())
  assert.deepEqual(read(instance, 'card'), { partition: 0, entries: 0, bytes: 0, timers: 0 })
  await store(instance, frame([record('', 'card')]))
  const slabs = () => Buffer.concat(instance.state.slabsOf(0).map((slab) => new Uint8Array(slab)))
  const before = slabs()
  const { found, entries, timers } = read(instance, 'card')
  assert.deepEqual([entries, timers], [1 + 1 + 121 + 2 + 3, 3])
  const { list, ...others } = found!
  assert.deepEqual(others, {
    state: { value: '{"n":1}', bytes: 7, expiresMs: nowMs + 1000 },
    counter: { value: 7 },
    windows: [
      { start: 0, sum: 2 },
      { start: 20, sum: 3 },
    ],
    timers: [{ timeMs: nowMs + 30_000 }, { timeMs: nowMs + 60_000 }],
  })
  assert.equal(list!.length, 120)
  assert.deepEqual([list!.items.length, list!.items.at(-1)], [100, { value: '149', bytes: 3 }])
  assert.equal(read(instance, 'card', nowMs + 1000).found?.state, undefined, 'it has expired')
  assert.equal(read(instance, 'car').found, undefined)
  assert.deepEqual(read(instance, 'bytes').found, { state: { valueBase64: '/wA=', bytes: 2 } })
  const long = read(instance, 'long').found!.state!
  assert.deepEqual([long.bytes, long.isCut, long.value], [200_000, true, 'é'.repeat(32_768)])
  assert.equal(read(instance, 'quotes').found!.state!.value!.length, 50_000)
  assert.equal(read(instance).found, undefined)
  assert.deepEqual(slabs(), before, 'nothing is changed (RS1)')

  const many = Array.from({ length: 10_000 }, (_, i) => record(String(i), 'any'))
  await store(instance, frame(many))
  const large = read(instance, 'card')
  assert.deepEqual(
    [large.isUnsearched, large.found?.windows, large.found?.timers],
    [true, undefined, undefined],
  )
  assert.equal(large.found?.counter?.value, 7, 'what needs no search is found in any state')
})

test('readState sees what the version at work sees, and says what it has not migrated', async (t) => {
  const source = (version: number) =>
    fn(`ctx.setJson(record.key, ${version})`, version === 1 ? '' : 'migrate(ctx) { ctx.setJson(2) },')
  const one = (await start(source(1))).instance
  const two = (await start(source(2), { version: 2, replaces: 1, format: { own: 2, kept: 1 } })).instance
  t.after(() => Promise.all([one.destroy(), two.destroy()]))
  await one.run([frame([record('', 'a'), record('', 'b')])], nowMs)
  await two.takeOver(one)
  await two.run([frame([record('', 'a'), record('', 'new')])], nowMs)
  const seenBy = (isolate: Isolate) => ['a', 'b', 'new'].map((key) => read(isolate, key).found?.state)
  assert.deepEqual(seenBy(two), [
    { value: '2', bytes: 1 },
    { value: '1', bytes: 1, format: 1 },
    { value: '2', bytes: 1 },
  ])
  await one.takeOver(two)
  assert.deepEqual(seenBy(one), [{ value: '1', bytes: 1 }, { value: '1', bytes: 1 }, undefined])
})

test('readState answers for the partitions that it is asked for, and tells state of broadcast inputs apart', async (t) => {
  const { instance } = await start(fn(`ctx.counter(record.key).add()`), {
    manifest: { istreams: { in: { grouping: 'groupBy' }, all: { grouping: 'broadcast' } } },
  })
  t.after(() => instance.destroy())
  const at = (stream: string, partition: number) => frame([record('', 'k')], partition, 0, stream)
  await instance.run([at('in', 0), at('in', 1), at('all', 1)], nowMs)
  const all = readState(instance, [0, 1, 1025], nowMs, { key: base64('k'), first: 1 })
  assert.deepEqual(
    all.map(({ partition, isOwn, found }) => [partition, isOwn, found?.counter?.value]),
    [
      [1, undefined, 1],
      [0, undefined, 1],
      [1, true, 1],
    ],
  )
  assert.equal(readState(instance, [0, 1, 1025], nowMs, { partition: 1 }).length, 2)
})
