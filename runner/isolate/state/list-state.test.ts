import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StateEntry } from '../../../sdk/api/state.ts'
import type { InputFrame, SingleIsolate } from '../index.ts'
import { fn, frame, nowMs, record, start } from '../testing/harness.ts'
import { listState, type Slice } from './list-state.ts'

const whole = { partition: 0, from: 0, limit: 1000 }

/** Until memory is there for what the record stores. */
async function store(instance: SingleIsolate, input: InputFrame): Promise<void> {
  for (let skip = 0; skip < input.header.count; )
    skip += (await instance.run([{ ...input, skip }], nowMs)).records
}

function list(
  instance: SingleIsolate,
  more: object = {},
  isOver = () => false,
): Slice & { listed: StateEntry[] } {
  const slice = listState(instance, [0], nowMs, { ...whole, ...more }, isOver)
  return { ...slice, listed: slice.partitions[0]?.listed ?? [] }
}

test('listState lists each entry by its key and kind, and shows no more of it than fits', async (t) => {
  const { instance } = await start(
    fn(
      `ctx.setJson('card', { n: 1 }, { ttlMs: 1000 })
      ctx.counter('card').add(7)
      for (let i = 0; i < 5; i++) ctx.list('card', { max: 3 }).push(i)
      ctx.windows('card', { size: 10 }).add(25, 3)
      ctx.setTimer('other', ctx.nowMs() + 60_000)
      ctx.setState(new Uint8Array([255]), 'é'.repeat(60))`,
      'processTimer() {},',
    ),
  )
  t.after(() => instance.destroy())
  assert.deepEqual(list(instance).partitions, [{ partition: 0, entries: 0, bytes: 0, timers: 0, listed: [] }])
  await store(instance, frame([record('', 'k')]))
  const slabs = () => Buffer.concat(instance.state.slabsOf(0).map((slab) => new Uint8Array(slab)))
  const before = slabs()
  const { listed, next, partitions } = list(instance)
  assert.deepEqual([next, partitions[0]!.entries, partitions[0]!.timers], [undefined, 8, 1])
  const sorted = (entries: readonly StateEntry[]) => entries.map((one) => JSON.stringify(one)).sort()
  assert.deepEqual(
    sorted(listed),
    sorted([
      { key: 'card', state: { value: '{"n":1}', bytes: 7, expiresMs: nowMs + 1000 } },
      { key: 'card', counter: { value: 7 } },
      { key: 'card', list: { length: 3, items: [] } },
      { key: 'card', windows: [{ start: 20, sum: 3 }] },
      { key: 'other', timers: [{ timeMs: nowMs + 60_000 }] },
      { keyBase64: '/w==', state: { value: 'é'.repeat(50), bytes: 120, isCut: true } },
    ]),
  )
  assert.equal(list(instance, { prefix: Buffer.from('ca').toString('base64') }).listed.length, 4)
  assert.deepEqual(list(instance, { partition: 1 }).partitions, [], 'it does not have that one')
  assert.deepEqual(list(instance, { isOwn: true }).partitions, [])
  assert.deepEqual(slabs(), before, 'nothing is changed (LST1)')
})

test('slices of listState follow one another, whether they end by number or by time', async (t) => {
  const { instance } = await start(fn(`ctx.counter(record.key).add()`))
  t.after(() => instance.destroy())
  const keys = Array.from({ length: 3000 }, (_, i) => `key ${i}`)
  await store(instance, frame(keys.map((key) => record('', key))))
  const walk = (limit: number, isOver: () => boolean) => {
    const listed: string[] = []
    let slices = 0
    for (let from: number | undefined = 0; from !== undefined; slices++) {
      const slice = list(instance, { from, limit }, isOver)
      assert.ok(slice.listed.length <= limit)
      listed.push(...slice.listed.map(({ key }) => key!))
      from = slice.next
    }
    return { listed, slices }
  }
  const bySize = walk(100, () => false)
  assert.deepEqual([bySize.slices, new Set(bySize.listed)], [30, new Set(keys)])
  const byTime = walk(1000, () => true)
  assert.deepEqual(byTime.listed, bySize.listed)
  assert.ok(byTime.slices > 3000, 'one chain each')
})

test('listState lists what the version at work sees, once', async (t) => {
  const source = (version: number) =>
    fn(`ctx.setJson(record.key, ${version})`, version === 1 ? '' : 'migrate(ctx) { ctx.setJson(2) },')
  const one = (await start(source(1))).instance
  const two = (await start(source(2), { version: 2, replaces: 1, format: { own: 2, kept: 1 } })).instance
  t.after(() => Promise.all([one.destroy(), two.destroy()]))
  await one.run([frame([record('', 'a'), record('', 'b')])], nowMs)
  await two.takeOver(one)
  await two.run([frame([record('', 'a'), record('', 'new')])], nowMs)
  const seenBy = (instance: SingleIsolate) =>
    Object.fromEntries(list(instance).listed.map(({ key, state }) => [key, [state?.value, state?.format]]))
  assert.deepEqual(seenBy(two), { a: ['2', undefined], b: ['1', 1], new: ['2', undefined] })
  assert.equal(list(two).listed.length, 3)
  await one.takeOver(two)
  assert.deepEqual(seenBy(one), { a: ['1', undefined], b: ['1', undefined] })
})
