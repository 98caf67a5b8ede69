import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  parseTap,
  replay,
  runtimeText,
  type TapChapter,
  tapRecords,
  tapText,
} from '../../../sdk/replay/index.ts'
import type { BatchResult, SingleIsolate } from '../index.ts'
import { definitionOf, fn, frame, frameOfTexts, nowMs, record, recordsIn, start } from '../testing/harness.ts'

const tapBytes = 1024 * 1024

interface Seen {
  readonly partition: number
  readonly key: string
  readonly value: string
  readonly timeMs: number
}
const spell = (partition: number, r: { key: Uint8Array; value: Uint8Array; timeMs: number }): Seen => ({
  partition,
  key: Buffer.from(r.key).toString(),
  value: Buffer.from(r.value).toString(),
  timeMs: r.timeMs,
})
const seenOf = (results: readonly BatchResult[]): Seen[] =>
  results.flatMap(({ outputs }) =>
    outputs().flatMap((output) => recordsIn(output).map((r) => spell(output.partition, r))),
  )
const sorted = (seen: readonly Seen[]): string[] => seen.map((each) => JSON.stringify(each)).toSorted()

/** Runs a batch to its end. */
async function runAll(
  instance: SingleIsolate,
  texts: readonly string[],
  atMs: number,
  partition = 0,
): Promise<BatchResult[]> {
  const results: BatchResult[] = []
  const whole = frame(
    texts.map((text) => record(text, text.slice(0, 1))),
    partition,
  )
  for (let done = 0; done < texts.length; ) {
    let result = await instance.run([{ ...whole, skip: done }], atMs)
    for (;;) {
      results.push(result)
      done += result.records
      if (result.fatal !== undefined) return results
      if (!result.pending) break
      result = await instance.resume()
    }
  }
  return results
}

/** Through a file, as it goes to whoever looks at it. */
function filed(chapters: readonly TapChapter[]): readonly TapChapter[] {
  return parseTap(
    tapText({ schema: 1, function: 'fn', version: 1, instance: 'fn-0', takenAtMs: 0, chapters }),
  ).chapters
}

const observant = `
  const count = ctx.counter(record.key).add()
  const all = [
    record.text(), count, Date.now(), ctx.nowMs(), new Date().toISOString(), Math.random(), crypto.randomUUID(),
    [...crypto.getRandomValues(new Uint8Array(4))].join('.'), performance.now(), ctx.getState('last:' + record.keyText())?.length,
  ]
  ctx.setState('last:' + record.keyText(), all.join(' '))
  ctx.metrics.observe('random', Math.random())
  if (count % 3 === 0) ctx.setTimer(record.keyText(), ctx.nowMs() + 5)
  ctx.produceRecord('out', record.key, all.join(' '))
  if (record.text().endsWith('!')) throw new Error('bad ' + Math.random())`
const timers = `processTimer(ctx, key, timeMs) {
    ctx.produceRecord('out', key, 'timer ' + timeMs + ' ' + Math.random() + ' ' + ctx.counter(key).get())
  },`

test('a tap replays to the same outputs, byte for byte: state, timers, Date, Math.random, crypto, failures (I6)', async () => {
  const batch = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(99), fc.boolean()), {
    minLength: 1,
    maxLength: 12,
  })
  const runtime = runtimeText()
  const source = fn(observant, timers)
  const definition = definitionOf(source)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(batch, fc.nat(9)), { minLength: 1, maxLength: 6 }),
      async (batches) => {
        const seed = crypto.getRandomValues(new Uint8Array(32))
        const { instance } = await start(source, { tapBytes, seed, manifest: { onError: 'skip' } })
        const results: BatchResult[] = []
        let atMs = nowMs
        for (const [records, waitMs] of batches) {
          atMs += waitMs
          const texts = records.map(
            ([key, number, bad]) => `${key}${number}${bad && number % 3 === 0 ? '!' : ''}`,
          )
          results.push(...(await runAll(instance, texts, atMs, texts.length % 2)))
        }
        const [chapter] = filed(instance.tapped().chapters)
        await instance.destroy()
        assert.equal(chapter!.fromStart, true)
        const { same, calls } = await replay(chapter!, { runtime, definition })
        assert.deepEqual(
          calls.map((call) => call.same),
          calls.map(() => true),
        )
        assert.ok(same)
        const replayed = calls.flatMap(({ outputs }) =>
          outputs.map((output) => spell(output.partition, output)),
        )
        assert.deepEqual(sorted(replayed), sorted(seenOf(results)))
      },
    ),
    { numRuns: 15 },
  )
})

test('a tap that begins in the middle has a copy of the state, and replays to the same outputs', async (t) => {
  const source = fn(observant, timers)
  const { instance } = await start(source, {
    tapBytes: 600_000,
    clock: jumpy(),
    manifest: { onError: 'skip' },
  })
  t.after(() => instance.kill())
  const padding = 'x'.repeat(2000)
  const results: BatchResult[] = []
  for (let i = 0; i < 300; i++)
    results.push(...(await runAll(instance, [`a${i}${padding}`, `b${i}`], nowMs + i)))
  const chapters = filed(instance.tapped().chapters)
  assert.equal(chapters.length, 2)
  const definition = definitionOf(source)
  const runtime = runtimeText()
  for (const chapter of chapters) {
    assert.equal(chapter.fromStart, false)
    assert.equal(chapter.state.kind, 'image')
    const { same, calls } = await replay(chapter, { runtime, definition })
    assert.ok(same && calls.length > 20)
    const first = tapRecords(chapter.entries[0]!, chapter.boot.inputs)
    assert.equal(first[0]!.stream, 'in')
    const texts = calls.flatMap(({ outputs }) => outputs.map(({ value }) => Buffer.from(value).toString()))
    const all = new Set(seenOf(results).map(({ value }) => value))
    assert.ok(texts.length > 40 && texts.every((text) => all.has(text)))
  }
  const other = definitionOf(fn(observant.replace('count % 3', 'count % 2'), timers))
  assert.equal(
    (await replay(chapters[0]!, { runtime, definition: other })).same,
    false,
    'other code, other outputs',
  )
})

test('a tap of asynchronous callbacks replays their waits, and one of a crash replays the crash', async () => {
  const source = fn(`
    await new Promise((resolve) => setTimeout(resolve, 3))
    ctx.produceRecord('out', record.key, record.text() + Math.random() + ' ' + Date.now())
    if (record.text() === 'a9') throw new RangeError('nine')`).replace('processRecord', 'async processRecord')
  const { instance } = await start(source, { tapBytes })
  const results = await runAll(instance, ['a1', 'b2', 'a9', 'c3'], nowMs)
  assert.equal(results.at(-1)!.fatal?.code, 'ERR_FUNCTION_FAILED')
  const [chapter] = filed(instance.tapped().chapters)
  const { same, calls } = await replay(chapter!, { runtime: runtimeText(), definition: definitionOf(source) })
  assert.ok(same)
  assert.equal(seenOf(results).length, 2)
  assert.deepEqual(
    calls.flatMap(({ outputs }) => outputs.map((output) => spell(output.partition, output))),
    seenOf(results),
  )
  assert.deepEqual(
    calls.flatMap(({ errors }) => errors),
    ['RangeError: nine (fail)'],
  )
  const records = chapter!.entries.flatMap((entry) => tapRecords(entry, chapter!.boot.inputs))
  assert.deepEqual(
    records.map(({ value }) => Buffer.from(value).toString()),
    ['a1', 'b2', 'a9', 'c3'],
    'the record at hand and those before it',
  )
})

test('a replay says of a callback that threw what was done about it, in the words of the log', async () => {
  const source = fn(`throw new RangeError(record.text())`)
  // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
  const manifest = { onError: { retry: 2, then: 'skip', waitMs: 1000 } } as const
  const { instance } = await start(source, { tapBytes, manifest })
  await runAll(instance, ['a1'], nowMs)
  const [chapter] = filed(instance.tapped().chapters)
  const { calls } = await replay(chapter!, { runtime: runtimeText(), definition: definitionOf(source) })
  assert.deepEqual(
    calls.flatMap(({ errors }) => errors),
    ['RangeError: a1 (to be tried again)'],
  )
})

test('a tap of a version that was on trial replays what failed then, and later what was done about it', async (t) => {
  const source = fn(`
    ctx.counter('all').add()
    ctx.produceRecord('out', '', record.text() + ctx.counter('all').get())
    if (record.text().startsWith('bad')) throw new RangeError(record.text())`)
  const trial = { version: 2, replaces: 1, onTrial: true, tapBytes, manifest: { onError: 'skip' } } as const
  const { instance } = await start(source, trial)
  t.after(() => instance.destroy())
  const tried = await instance.run([frameOfTexts('a', 'bad while tried', 'b')], nowMs)
  assert.equal(tried.threw?.error.message, 'bad while tried')
  await instance.endTrial()
  const results = await runAll(instance, ['c', 'bad', 'd'], nowMs + 1)
  const chapters = filed(instance.tapped().chapters)
  const options = { runtime: runtimeText(), definition: definitionOf(source) }
  const replayed = await Promise.all(chapters.map((chapter) => replay(chapter, options)))
  assert.deepEqual(
    replayed.map(({ same, calls }) => [same, calls.flatMap(({ errors }) => errors)]),
    [
      [true, ['RangeError: bad while tried (fail)']],
      [true, ['RangeError: bad (skip)']],
    ],
  )
  const [, later] = replayed
  assert.deepEqual(
    later!.calls.flatMap(({ outputs }) => outputs.map((output) => spell(output.partition, output))),
    seenOf(results),
  )
})

test('a tap of a call that never returned replays what was done, and ends', async () => {
  const source = fn(`ctx.produceRecord('out', '', record.text()); if (record.text() === 'loop') for (;;) {}`)
  const { instance } = await start(source, { tapBytes, manifest: { limits: { callbackMs: 500 } } })
  assert.equal(
    (await instance.run([frameOfTexts('before', 'loop', 'behind')], nowMs)).fatal?.code,
    'ERR_DEADLINE',
  )
  const options = { runtime: runtimeText(), definition: definitionOf(source), callMs: 2_000 }
  const [call] = (await replay(filed(instance.tapped().chapters)[0]!, options)).calls
  assert.equal(call?.stopped, true)
  assert.deepEqual(
    call.outputs.map(({ value }) => Buffer.from(value).toString()),
    ['before'],
  )
})

test('a tap stays within its bound, and none is kept if switched off (TP1)', async (t) => {
  const { instance } = await start(fn(''), { tapBytes: 64 * 1024, clock: jumpy() })
  const none = await start(fn(''))
  t.after(() => Promise.all([instance.destroy(), none.instance.destroy()]))
  await runAll(instance, ['first'], nowMs)
  const [early] = instance.tapped().chapters
  const wasEarly = structuredClone(early)
  for (let i = 0; i < 200; i++) {
    await runAll(instance, ['x'.repeat(1 + ((i * 997) % 20_000))], nowMs)
    const bytes = instance
      .tapped()
      .chapters.flatMap(({ entries }) => entries)
      .reduce((sum, entry) => sum + (entry.kind === 'run' ? entry.input.length : 0), 0)
    assert.ok(bytes <= 64 * 1024, `${bytes}`)
  }
  assert.deepEqual(early, wasEarly, 'what was read stays, though its memory is written again')
  await runAll(none.instance, ['x'], nowMs)
  assert.deepEqual(none.instance.tapped().chapters, [])
})

/** A clock on which a tap never has to pause. */
function jumpy() {
  let ms = 0
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => (ms += 60),
    after: (delayMs: number, run: () => void) => {
      const timer = setTimeout(run, delayMs)
      return () => clearTimeout(timer)
    },
  }
}

test('a batch larger than a chapter is not in the tap, and is counted', async () => {
  const { instance } = await start(fn(`ctx.produceRecord('out', '', '')`), { tapBytes: 16 * 1024 })
  await runAll(instance, ['x'.repeat(10_000)], nowMs)
  assert.deepEqual([instance.tapped().chapters, instance.tapped().missed], [[], 1])
  await runAll(instance, ['small'], nowMs + 1000)
  const { chapters, missed } = instance.tapped()
  assert.deepEqual([chapters.length, chapters[0]?.entries.length, missed], [1, 1, 1])
})
