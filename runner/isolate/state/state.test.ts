/** State that outlives its isolate, and grows while batches run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Capture, shadowBytes, shadowBytesUsed } from '../../../sdk/runtime/index.ts'
import { type BatchResult, type InputFrame, type SingleIsolate, StateStore } from '../index.ts'
import { fn, frame, frameOfTexts, nowMs, record, start, texts } from '../testing/harness.ts'

const mib = 2 ** 20

/** Counts records by key; the values say what to do beside. */
const counting = fn(`
  const count = (ctx.getJson(record.key) ?? 0) + 1
  ctx.setJson(record.key, count)
  const what = record.text()
  ctx.produceRecord('out', record.key, record.keyText() + count)
  if (what === 'loop') for (;;);
  if (what === 'throw') throw new Error('on purpose')`)

/** Runs frames to their end as the worker does: what was not done is given again. */
async function runAll(instance: SingleIsolate, frames: readonly InputFrame[]): Promise<BatchResult[]> {
  const results: BatchResult[] = []
  let rest = [...frames]
  while (rest.length > 0) {
    const result = await instance.run(rest, nowMs)
    results.push(result)
    if (result.fatal !== undefined) return results
    let done = result.records
    rest = rest.flatMap((frame) => {
      const open = frame.header.count - frame.skip
      const taken = Math.min(done, open)
      done -= taken
      return taken < open ? [{ ...frame, skip: frame.skip + taken }] : []
    })
  }
  return results
}

const outputs = (results: readonly BatchResult[]): string[] => results.flatMap(texts)
const keyed = (...pairs: readonly (readonly [string, string])[]): InputFrame =>
  frame(pairs.map(([key, value]) => record(value, key)))

test('SingleIsolate continues with the state of one that was ended in the middle of a record, and undoes that record', async () => {
  const state = new StateStore(64 * mib)
  const options = { state, manifest: { limits: { callbackMs: 500 } } }
  const one = await start(counting, options)
  const pairs = [keyed(['a', ''], ['b', ''], ['a', ''], ['a', 'loop'], ['a', ''])]
  const results = await runAll(one.instance, pairs) // on a busy machine the batch may end before the loop
  assert.deepEqual(outputs(results).toSorted(), ['a1', 'a2', 'b1'])
  assert.equal(
    results.reduce((sum, { records }) => sum + records, 0),
    3,
  )
  assert.equal(results.at(-1)!.fatal?.code, 'ERR_DEADLINE')
  assert.equal(await one.instance.ended(), true)

  const two = await start(counting, options)
  assert.deepEqual(two.instance.stats().stateEntries, 2)
  assert.deepEqual(
    texts(await two.instance.run([keyed(['a', ''], ['b', '']), keyed(['a', 'throw'])], nowMs)),
    ['a3', 'b2'],
  )
  assert.equal(await two.instance.ended(), true, 'the policy `fail` ended it')

  const three = await start(counting, options)
  assert.deepEqual(texts(await three.instance.run([keyed(['a', ''])], nowMs)), ['a4'])
  await three.instance.destroy()
  assert.deepEqual(state.partitions(), [0])
  assert.ok(state.heldBytes >= 64 * 1024 && state.heldBytes < mib, `${state.heldBytes}`)
})

test('StateStore lends state to one isolate at a time, and never while the thread of an ended one may still run', async () => {
  const state = new StateStore(64 * mib)
  const one = await start(counting, { state })
  await assert.rejects(start(counting, { state }), /another isolate has it/)
  one.instance.kill()
  assert.equal(await one.instance.ended(), true)
  const two = await start(counting, { state })
  two.instance.kill()
  state.lose()
  assert.equal(await two.instance.ended(), true)
  await assert.rejects(start(counting, { state }), /may be writing still/)
})

test('SingleIsolate gives records again that found no memory for their state, and nothing is lost or done twice', async (t) => {
  const source = fn(`
    try { ctx.setState('value ' + record.text(), new Uint8Array(50_000).fill(record.key[0])) }
    catch { ctx.setState('caught', 'x') }
    const count = (ctx.getJson('count') ?? 0) + 1
    ctx.setJson('count', count)
    ctx.produceRecord('out', '', record.text() + ' ' + count + ' ' + (ctx.getState('caught') !== undefined))`)
  // biome-ignore lint/suspicious/noThenProperty: a policy, never a thenable -- API
  const { instance } = await start(source, { manifest: { onError: { retry: 2, then: 'skip' } } })
  t.after(() => instance.destroy())
  const numbers = Array.from({ length: 300 }, (_, i) => `${i}`)
  const results = await runAll(instance, [frameOfTexts(...numbers)])
  assert.deepEqual(
    outputs(results),
    numbers.map((text, i) => `${text} ${i + 1} false`),
  )
  assert.deepEqual(
    results.flatMap(({ failures }) => failures),
    [],
  )
  assert.ok(results.length > 3 && results.length < 60, `${results.length} batches`)
  assert.equal(instance.stats().stateEntries, 301)
})

test('SingleIsolate adds more memory each time for a record that needs much, and treats async callbacks the same', async (t) => {
  const source = fn(`
    globalThis.calls = (globalThis.calls ?? 0) + 1
    await new Promise((resolve) => setTimeout(resolve, 0))
    for (let i = 0; i < 20_000; i++) ctx.setState('key ' + i, new Uint8Array(1000))
    ctx.produceRecord('out', '', String(globalThis.calls))`).replace('processRecord', 'async processRecord')
  const { instance } = await start(source)
  t.after(() => instance.destroy())
  let result = await instance.run([frameOfTexts('x')], Date.now())
  for (let i = 0; result.records === 0 && result.fatal === undefined && i < 100; i++)
    result = result.pending ? await instance.resume() : await instance.run([frameOfTexts('x')], Date.now())
  assert.equal(result.fatal, undefined, result.fatal?.message)
  const [calls] = texts(result)
  assert.ok(Number(calls) > 1 && Number(calls) < 14, `${calls} calls`)
  assert.equal(instance.stats().stateEntries, 20_000)
})

/** A record `fill` sets keys until there is no memory for more, and is undone; any other sets one. */
const filling = fn(`
  if (record.text() === 'fill') for (let i = 0; ; i++) ctx.setState('key ' + i, new Uint8Array(10_000))
  if (record.text() === 'loop') for (let i = 0; ; i++) if (i < 300) ctx.setState('key ' + i, new Uint8Array(10_000))
  ctx.setState(record.text(), new Uint8Array(50_000))`)

test('memory that a record has taken is given back when the record is undone, and another partition may have it (HS2)', async (t) => {
  const state = new StateStore(8 * mib)
  const options = { state, manifest: { limits: { stateMib: 8 }, onError: 'skip' as const } }
  const { instance } = await start(filling, options)
  t.after(() => instance.destroy())
  for (const round of [1, 2]) {
    const [failed] = (await runAll(instance, [frameOfTexts('fill')])).flatMap(({ failures }) => failures)
    assert.equal(failed!.error.name, 'ERR_STATE_FULL')
    assert.ok(state.heldBytes < mib, `${state.heldBytes} bytes with ${round} records undone`)
  }
  const names = Array.from({ length: 100 }, (_, i) => record(`name ${i}`))
  const results = await runAll(instance, [frame(names, 1)])
  assert.deepEqual(
    results.flatMap(({ failures }) => failures),
    [],
  )
  assert.equal(instance.stats().stateEntries, 100)
  assert.ok(state.heldBytes + state.spareBytes <= 8 * mib)
})

test('memory of a partition whose entries were all deleted is taken back before a checkpoint (HS2)', async (t) => {
  const state = new StateStore(8 * mib)
  const source = fn(
    `
    if (record.text() !== 'delete') return void ctx.setState(record.text(), new Uint8Array(50_000))
    for (let i = 0; i < 60; i++) ctx.deleteState('name ' + i)
    ctx.setTimer('timer', ctx.nowMs())`,
    'processTimer() {},',
  )
  const { instance } = await start(source, { state, manifest: { limits: { stateMib: 8 } } })
  t.after(() => instance.destroy())
  const names = Array.from({ length: 60 }, (_, i) => record(`name ${i}`))
  for (const round of [1, 2]) {
    await runAll(instance, [frame(names, 1)])
    await instance.provideShadow()
    assert.ok(state.heldBytes > 3 * mib)
    await runAll(instance, [frame([record('delete')], 1)])
    await instance.run([], nowMs)
    await instance.provideShadow()
    assert.ok(state.heldBytes < mib / 4, `${state.heldBytes} bytes in round ${round}`)
  }
  await runAll(instance, [frame(names.slice(0, 10), 1)])
  assert.equal(instance.stats().stateEntries, 10)
})

test('SingleIsolate.shadowBytesAhead is the memory that so many more pages take, beside what earlier checkpoints have used', async (t) => {
  const { instance } = await start(counting)
  t.after(() => instance.destroy())
  const all = keyed(...Array.from({ length: 2000 }, (_, i) => [`key ${i}`, ''] as const))
  for (let round = 0; round < 3; round++) await runAll(instance, [all]) // then it grows no more
  const shadow = await instance.provideShadow()
  const pageRow = shadowBytes(1) - shadowBytes(0)
  const used = (): number => shadowBytesUsed(shadow) - shadowBytes(0)
  const capture = new Capture(shadow)
  capture.cut([...instance.state.arenas()])
  const { pending } = capture
  assert.equal(instance.shadowBytesAhead(pending), pending * pageRow)
  await runAll(instance, [all])
  const copied = used()
  assert.ok(copied >= 10 * pageRow)
  assert.equal(instance.shadowBytesAhead(capture.pending), pending * pageRow - copied)
  assert.equal(
    instance.shadowBytesAhead(1e9),
    shadow.byteLength - copied - shadowBytes(0),
    'it ends somewhere',
  )
  capture.abandon()
  assert.ok((await instance.provideShadow()) === shadow)
  capture.cut([...instance.state.arenas()])
  assert.equal(instance.shadowBytesAhead(capture.pending), capture.pending * pageRow - copied)
  assert.equal(instance.shadowBytesAhead(0), 0)
})

test('the next isolate gives back what a record had taken in which the one before was ended', async () => {
  const state = new StateStore(8 * mib)
  const options = { state, manifest: { limits: { stateMib: 8, callbackMs: 500 } } }
  const one = await start(filling, options)
  const results = await runAll(one.instance, [frameOfTexts('a', 'loop')])
  assert.equal(results.at(-1)!.fatal?.code, 'ERR_DEADLINE')
  assert.equal(await one.instance.ended(), true)
  assert.ok(state.heldBytes > 2 * mib)
  const two = await start(filling, options)
  await two.instance.run([frameOfTexts('b')], nowMs)
  assert.equal(two.instance.stats().stateEntries, 2)
  assert.ok(state.heldBytes < mib, `${state.heldBytes}`)
  await two.instance.destroy()
})

test('setState throws ERR_STATE_FULL at limits.stateMib, says what uses the memory, and changes nothing', async (t) => {
  const source = fn(`
    try { ctx.setState(record.text(), new Uint8Array(20_000)) }
    catch (error) { return ctx.produceRecord('out', '', error.code + ': ' + error.message) }
    ctx.produceRecord('out', '', 'set')`)
  const { instance } = await start(source, { manifest: { limits: { stateMib: 1 } } })
  t.after(() => instance.destroy())
  const frames = [0, 1].map((partition) =>
    frame(
      Array.from({ length: 60 }, (_, i) => record(`${i}`)),
      partition,
    ),
  )
  const said = outputs(await runAll(instance, frames))
  const set = said.filter((text) => text === 'set').length
  assert.equal(said.length, 120)
  assert.ok(set > 40 && set < 52, `${set} of 20 kB in 1 MiB`)
  assert.match(
    said.find((text) => text !== 'set')!,
    /^ERR_STATE_FULL: Cannot set state: the partition holds \d+ entries of \d+ bytes in \d+ bytes of memory; with all others it takes \d+ of the 1048576 that are allowed: delete entries, let them expire \(ttlMs\), or raise limits\.stateMib$/,
  )
  assert.equal(instance.stats().stateEntries, set)
})

test('SingleIsolate releases the state of partitions that were given away', async (t) => {
  const state = new StateStore(64 * mib)
  const { instance } = await start(counting, { state })
  t.after(() => instance.destroy())
  const both = [frame([record('', 'a')], 0), frame([record('', 'a')], 1)]
  assert.deepEqual(texts(await instance.run(both, nowMs)), ['a1', 'a1'])
  const held = state.heldBytes
  const given = new Set(state.all().map(({ slab }) => slab))
  instance.keepPartitions([1])
  assert.deepEqual(texts(await instance.run(both, nowMs)), ['a1', 'a2'])
  instance.keepPartitions([1])
  assert.equal(instance.nextTimerMs, 0, 'a batch is due, where no records come')
  await instance.run([], nowMs)
  assert.deepEqual([instance.stats().stateEntries, instance.nextTimerMs], [1, undefined])
  assert.deepEqual(state.partitions(), [1])
  assert.equal(state.heldBytes, held / 2)
  instance.keepPartitions([2])
  assert.deepEqual(texts(await instance.run([], nowMs)), [])
  assert.deepEqual(texts(await instance.run([frame([record('', 'a')], 2)], nowMs)), ['a1'])
  assert.equal(state.heldBytes, held / 2)
  assert.ok(given.has(state.slabsOf(2)[0]!), 'memory of partitions that have left is used again, empty')
})

test('StateStore keeps no more memory than it once held, whatever comes and goes, and reuses the slabs (SS4)', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 })), (comings) => {
      const state = new StateStore(64 * mib)
      let most = 0
      for (const [share, units] of comings.entries()) {
        state.keep([share - 1, share - 3])
        state.adopt(
          share,
          units.map((size) => state.slabOf(size * 64 * 1024)),
        )
        most = Math.max(most, state.heldBytes)
        assert.ok(state.heldBytes + state.spareBytes <= most)
      }
    }),
  )
  const state = new StateStore(64 * mib)
  const sizes = [65_536, 131_072, 65_536]
  const take = (): SharedArrayBuffer[] => sizes.map((bytes) => state.slabOf(bytes))
  const before = take()
  new Uint8Array(before[1]!).fill(1)
  state.adopt(0, before)
  for (let share = 1; share < 50; share++) {
    state.keep([])
    const slabs = take()
    assert.deepEqual(new Set(slabs), new Set(before))
    assert.ok(slabs.every((slab) => new Uint8Array(slab).every((byte) => byte === 0)))
    state.adopt(share, slabs)
  }
})

test('StateStore keeps what rests as it is until its isolate has forgotten it and it is let go, in either order (SS5)', () => {
  for (const isForgottenFirst of [true, false]) {
    const state = new StateStore(64 * mib)
    state.lend()
    const slab = state.slabOf(65_536)
    state.adopt(3, [slab])
    state.rest(3)
    assert.deepEqual([state.partitions(), state.slabsOf(3)], [[], []], 'no isolate gets it')
    assert.deepEqual(
      [...state.arenas()].map(([partition, { count }]) => [partition, count]),
      [[3, 1]],
      'it can be stored',
    )
    const forget = () => state.keep([])
    const letGo = () => state.letGo(3)
    const [first, second] = isForgottenFirst ? [forget, letGo] : [letGo, forget]
    first()
    assert.notEqual(state.slabOf(65_536), slab)
    assert.equal(state.heldBytes, 65_536)
    second()
    assert.deepEqual([...state.arenas()], [])
    assert.equal(state.heldBytes, 0)
    assert.equal(state.slabOf(65_536), slab)
  }
})

test('SingleIsolate holds state beside the heap, and neither counts against the limit of the other', async (t) => {
  const source = fn(`for (let i = 0; i < 1000; i++) ctx.setState(record.text() + i, new Uint8Array(4000))`)
  const { instance } = await start(source, {
    manifest: { limits: { heapMib: 16, stateMib: 128, callbackMs: 20_000 } },
  })
  t.after(() => instance.destroy())
  const results = await runAll(instance, [frameOfTexts(...Array.from({ length: 25 }, (_, i) => `${i} `))])
  assert.equal(results.at(-1)?.fatal, undefined)
  const { stateBytes, heapBytes } = instance.stats()
  assert.ok(stateBytes > 100e6 && heapBytes < 32 * mib, `${stateBytes} of state, ${heapBytes} of heap`)
})
