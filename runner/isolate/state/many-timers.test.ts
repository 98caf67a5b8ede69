/** Many timers that are due at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replay, runtimeText } from '../../../sdk/replay/index.ts'
import { Player } from '../../shadow/player.ts'
import type { BatchResult, InputFrame, SingleIsolate } from '../index.ts'
import { bundleOf, definitionOf, fn, frameOfTexts, nowMs, start } from '../testing/harness.ts'

/** A record with a number sets so many timers; each is an output, and so is any other record. */
const source = fn(
  `
  const count = Number(record.text())
  for (let i = 0; i < count; i++) ctx.setTimer('t' + i, ctx.nowMs() + 1000)
  if (!(count > 0)) ctx.produceRecord('out', 'k', record.value)`,
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
