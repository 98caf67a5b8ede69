/** State that passes from one living isolate to another, and back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Capture } from '../../../sdk/runtime/index.ts'
import type { InputFrame } from '../index.ts'
import { fn, frame, nowMs, record, start, texts } from '../testing/harness.ts'

/** Counts records by key; what it puts out names the version. */
const counting = (version: number, more = ''): string =>
  fn(
    `
  const count = (ctx.getJson(record.key) ?? 0) + 1
  ctx.setJson(record.key, count)
  ctx.setTimer(record.keyText(), ctx.nowMs() + 1000)
  ctx.produceRecord('out', record.key, 'v${version} ' + record.keyText() + count)
  const what = record.text()
  if (what === 'loop') for (;;);
  if (what === 'throw' && ${version} === 2) throw new Error('on purpose')`,
    `processTimer(ctx, key) { 
      ctx.produceRecord('out', key, 'v${version} timer ' + key)
      if (key === 'bad' && ${version} === 2) throw new Error('a bad timer')
    }, ${more}`,
  )

const keyed = (...pairs: readonly (readonly [string, string])[]): InputFrame =>
  frame(pairs.map(([key, value]) => record(value, key)))
const limits = { limits: { callbackMs: 500 } }

test('SingleIsolate takes over state and timers of another one, and gives them back', async (t) => {
  const one = (await start(counting(1))).instance
  const two = (await start(counting(2), { version: 2, replaces: 1 })).instance
  t.after(() => Promise.all([one.destroy(), two.destroy()]))
  await one.run([keyed(['a', ''], ['b', '']), { ...keyed(['c', '']), partition: 0 }], nowMs)
  await two.expect(one)
  await one.run([keyed(['a', '']), frame([record('', 'd')], 3)], nowMs)
  await two.takeOver(one)
  assert.equal(one.nextTimerMs, undefined)
  assert.deepEqual(one.state.partitions(), [])
  assert.equal(two.nextTimerMs, nowMs + 1000)
  assert.deepEqual(texts(await two.run([keyed(['a', '']), frame([record('', 'd')], 3)], nowMs)).toSorted(), [
    'v2 a3',
    'v2 d2',
  ])
  await one.takeOver(two)
  assert.deepEqual(texts(await one.run([keyed(['a', '']), frame([record('', 'd')], 3)], nowMs)).toSorted(), [
    'v1 a4',
    'v1 d3',
  ])
  const timers = texts(await one.run([], nowMs + 1000)).toSorted()
  assert.deepEqual(
    timers,
    ['a', 'b', 'c', 'd'].map((key) => `v1 timer ${key}`),
  )
})

test('SingleIsolate takes state back from one that was ended inside a record, and undoes that record', async (t) => {
  const one = (await start(counting(1))).instance
  const two = (await start(counting(2), { version: 2, replaces: 1, manifest: limits })).instance
  t.after(() => one.destroy())
  await one.run([keyed(['a', ''])], nowMs)
  await two.takeOver(one)
  const result = await two.run([keyed(['a', ''], ['a', 'loop'])], nowMs)
  assert.equal(result.fatal?.code, 'ERR_DEADLINE')
  assert.equal(result.records, 1)
  await one.takeOver(two)
  assert.deepEqual(texts(await one.run([keyed(['a', ''])], nowMs)), ['v1 a3'])
})

test('SingleIsolate has nothing of partitions given away that the one before had still to forget when it ended', async (t) => {
  const one = (await start(counting(1))).instance
  const two = (await start(counting(2), { version: 2, replaces: 1 })).instance
  t.after(() => two.destroy())
  await one.run([{ ...keyed(['a', '']), partition: 0 }, frame([record('', 'b')], 3)], nowMs)
  one.keepPartitions([3])
  one.kill()
  await two.takeOver(one)
  assert.equal(two.nextTimerMs, 0, 'a batch is due')
  await two.run([], nowMs)
  assert.deepEqual(two.state.partitions(), [3])
  assert.deepEqual(texts(await two.run([], nowMs + 1000)), ['v2 timer b'])
})

test('on trial, a record or timer whose callback throws has no effect and is left to the version before', async (t) => {
  const one = (await start(counting(1))).instance
  const trial = { version: 2, replaces: 1, onTrial: true }
  const two = (await start(counting(2), trial)).instance
  t.after(() => Promise.all([one.destroy(), two.destroy()]))
  await two.takeOver(one)
  const result = await two.run([keyed(['a', ''], ['a', 'throw'], ['a', ''])], nowMs)
  assert.equal(result.fatal, undefined)
  assert.deepEqual([texts(result), result.records, result.failures], [['v2 a1'], 1, []])
  assert.match(result.threw?.error.message ?? '', /on purpose/)
  await one.takeOver(two)
  assert.deepEqual(texts(await one.run([keyed(['a', 'throw'])], nowMs)), ['v1 a2'])
  await two.takeOver(one)
  assert.deepEqual(texts(await two.run([keyed(['a', ''], ['bad', ''])], nowMs)).toSorted(), [
    'v2 a3',
    'v2 bad1',
  ])
  const fired = await two.run([], nowMs + 1000)
  assert.match(fired.threw?.error.message ?? '', /a bad timer/)
  await one.takeOver(two)
  const again = texts(await one.run([], nowMs + 1000))
  assert.ok(again.includes('v1 timer bad'), 'the timer is as it was')
  assert.equal(again.length + texts(fired).length, 2)
  await two.takeOver(one)
  await two.endTrial()
  const failed = await two.run([keyed(['a', 'throw'])], nowMs)
  assert.equal(failed.fatal?.code, 'ERR_FUNCTION_FAILED')
})

test('an isolate that was ended in the first record of a batch leaves what the batch before has committed', async (t) => {
  const one = (await start(counting(1), { manifest: limits })).instance
  const two = (await start(counting(2), { version: 2, replaces: 1 })).instance
  t.after(() => two.destroy())
  await one.run([{ ...keyed(['a', '']), partition: 0 }], nowMs) // its only record is the first of its batch too
  const result = await one.run([frame([record('loop', 'b')], 3)], nowMs)
  assert.deepEqual([result.fatal?.code, result.records], ['ERR_DEADLINE', 0])
  await two.takeOver(one)
  assert.deepEqual(texts(await two.run([{ ...keyed(['a', '']), partition: 0 }], nowMs)), ['v2 a2'])
})

test('a checkpoint under way is completed by the isolate that takes over', async (t) => {
  const one = (await start(counting(1))).instance
  const two = (await start(counting(2), { version: 2, replaces: 1 })).instance
  t.after(() => Promise.all([one.destroy(), two.destroy()]))
  const keys = Array.from({ length: 400 }, (_, i) => [`key ${i}`, ''] as const)
  await one.run([keyed(...keys)], nowMs)
  const capture = new Capture(await one.provideShadow())
  capture.cut([...one.state.arenas()])
  const before = [...one.state.slabsOf(0)].map((slab) => new Uint8Array(slab).slice())
  await two.takeOver(one)
  await two.run([keyed(...keys)], nowMs) // changes all pages that the cut still needs
  const numbers = new Uint32Array(4096)
  const bytes = new Uint8Array(4096 * 1024)
  const pages = capture.read(0, numbers, bytes)
  assert.ok(pages > 10 && !capture.overflown, `${pages} pages`)
  // The page of the arena's first words holds how much it had at the cut.
  const first = numbers.indexOf(0)
  assert.ok(first >= 0)
  const kept = bytes.slice(first * 1024, (first + 1) * 1024)
  assert.deepEqual(kept.subarray(512), before[0]!.subarray(512, 1024))
})

test('on trial, an error thrown by init is always a failure', async () => {
  const source = counting(2, "init() { throw new Error('no init') },")
  const failing = start(source, { version: 2, replaces: 1, onTrial: true })
  await assert.rejects(failing, { code: 'ERR_INIT_FAILED', message: /no init/ })
})

test('init learns which version it replaces, and a rehearsal leaves nothing behind', async (t) => {
  const source = counting(2, "init(ctx) { console.log('replaces ' + ctx.replaces) },")
  const { instance, lines } = await start(source, { version: 2, replaces: 1 })
  t.after(() => instance.destroy())
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['replaces 1'],
  )
  await instance.rehearse(async () => {
    assert.deepEqual(texts(await instance.run([keyed(['a', ''])], nowMs)), ['v2 a1'])
  })
  assert.deepEqual([instance.stats().stateEntries, instance.nextTimerMs], [0, undefined])
  const one = (await start(counting(1))).instance
  t.after(() => one.destroy())
  await one.run([keyed(['a', ''])], nowMs)
  await instance.takeOver(one)
  assert.deepEqual(texts(await instance.run([keyed(['a', ''])], nowMs)), ['v2 a2'])
})
