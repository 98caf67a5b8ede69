/** Many timers that are due at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replay, runtimeText } from '../../../sdk/replay/index.ts'
import { Player } from '../../shadow/player.ts'
import type { BatchResult, InputFrame, SingleIsolate } from '../index.ts'
import { bundleOf, definitionOf, fn, frameOfTexts, nowMs, start } from '../testing/harness.ts'

/** A record with a number sets so many timers; each is an output, and so is any other record. */
const setsTimers = `
  const count = Number(record.text())
  for (let i = 0; i < count; i++) ctx.setTimer('t' + i, ctx.nowMs() + 1000)
  if (!(count > 0)) ctx.produceRecord('out', 'k', record.value)`
const source = fn(
  setsTimers,
  `processTimer(ctx, key) {
    let sum = 0
    for (let i = 0; i < 400_000; i++) sum += i
    ctx.produceRecord('out', 'k', key + sum)
  },`,
)
const many = 5000
const limits = { stateMib: 64, callbackMs: 60_000 }
const laterMs = nowMs + 2000

/** Runs one record, which may first need more memory. */
async function done(instance: SingleIsolate, one: InputFrame): Promise<BatchResult> {
  for (;;) {
    const result = await instance.run([one], nowMs)
    assert.equal(result.fatal, undefined)
    if (result.records > 0) return result
  }
}

test('Engine lets a record through while many timers are due, and a replay does the same (E3 of engine/engine.ts)', async () => {
  // A fifth of a slice is for timers, all of it ends the batch: far apart, so that no stall of the machine reaches both.
  const { instance } = await start(source, { sliceMs: 2000, tapBytes: 1024 * 1024, manifest: { limits } })
  await done(instance, frameOfTexts(String(many)))
  const { records, timersFired } = await instance.run([frameOfTexts('record')], laterMs)
  assert.equal(records, 1, `it waits behind ${many} timers`)
  assert.ok(timersFired > 0 && timersFired < many, `${timersFired} timers came before it`)
  const { chapters } = instance.tapped()
  const runtime = await runtimeText()
  const { calls, same } = await replay(chapters.at(-1)!, { runtime, definition: definitionOf(source) })
  assert.equal(calls.at(-1)!.timers, timersFired)
  assert.equal(same, true)
  await instance.destroy()
})

/** Runs a batch to its end. @returns How many timers and records it had. */
async function counted(instance: SingleIsolate): Promise<{ timers: number; records: number }> {
  let result = await instance.run([frameOfTexts('record')], laterMs)
  let { timersFired: timers, records } = result
  for (;;) {
    assert.equal(result.fatal, undefined)
    if (!result.pending) return { timers, records }
    result = await instance.resume()
    timers += result.timersFired
    records += result.records
  }
}

/** Repeats all calls. @returns How many timers each had. */
async function replayed(instance: SingleIsolate, source: string): Promise<number[]> {
  const runtime = await runtimeText()
  const { chapters } = instance.tapped()
  const { calls, same } = await replay(chapters.at(-1)!, { runtime, definition: definitionOf(source) })
  assert.equal(same, true)
  return calls.map(({ timers }) => timers)
}

const tapped = { sliceMs: 50, tapBytes: 1024 * 1024, manifest: { limits } }

test('Caller counts the time of asynchronous timers together, and a record comes between them (E3 of engine/engine.ts)', async () => {
  const source = fn(
    setsTimers,
    `async processTimer() { await new Promise((resolve) => setTimeout(resolve, 5)) },`,
  )
  const { instance } = await start(source, tapped)
  await done(instance, frameOfTexts('200'))
  const { timers, records } = await counted(instance)
  assert.equal(records, 1)
  assert.ok(timers > 0 && timers < 20, `${timers} timers of 5 ms came before it`)
  const ofReplay = await replayed(instance, source)
  assert.equal(
    ofReplay.reduce((sum, one) => sum + one),
    timers,
  )
  await instance.destroy()
})

test('Engine begins with records after a batch that ended among its timers (E3 of engine/engine.ts)', async () => {
  const source = fn(
    setsTimers,
    `processTimer(ctx, key) {
    let sum = 0
    for (let i = 0; i < 200_000_000; i++) sum += i % 7
    if (sum < 0) ctx.produceRecord('out', 'k', key)
  },`,
  )
  const { instance } = await start(source, tapped)
  await done(instance, frameOfTexts('12'))
  const batches: { timers: number; records: number }[] = []
  for (let i = 0; i < 4; i++) batches.push(await counted(instance))
  for (const [i, { timers, records }] of batches.entries()) {
    const expected = i % 2 === 0 ? [true, 0] : [false, 1]
    assert.deepEqual([timers > 0, records], expected, `batch ${i}: ${JSON.stringify(batches)}`)
  }
  assert.deepEqual(
    (await replayed(instance, source)).slice(-4),
    batches.map(({ timers }) => timers),
  )
  await instance.destroy()
})

test('Player calls as many timers as the call that it repeats, in one piece or several (PY2)', async () => {
  const { instance, manifest } = await start(source, { manifest: { limits } })
  const outputs = { out: { partitions: 4, keyed: true } }
  const player = await Player.create({
    ...{ function: 'fn', version: 1, instance: 0, manifest, ...bundleOf(source), outputs, nowMs },
    ...{ seed: new Uint8Array(32), log: () => undefined, sliceMs: 40 },
  })
  const call = { putOff: [], records: 1, batch: 1, nowMs }
  await player.play({ ...call, frames: [frameOfTexts('1000')] })
  for (const [timers, left] of [
    [600, 400],
    [10, 390],
  ] as const) {
    const { fatal } = await player.play({ ...call, frames: [], records: 0, nowMs: laterMs, timers })
    assert.equal(fatal, undefined)
    assert.equal(player.stats().timers, left)
  }
  await player.play({ ...call, frames: [frameOfTexts('record')], nowMs: laterMs })
  assert.equal(player.stats().timers, 0, 'all that are due, where it repeats no call')
  player.end()
  await player.ended()
  await instance.destroy()
})
