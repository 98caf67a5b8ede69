/** I4 in earnest: isolates that are ended at random points of a batch, one after the other over the same state. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BatchResult, StateStore } from './index.ts'
import { fn, frame, nowMs, record, recordsIn, start } from './testing/harness.ts'

const partitions = 3
const killsMax = 250
const killsMin = 40
const timeMs = 8_000

/**
 * Everything that a record does is known from its number: what is set, what is deleted, what expires, which timer is set
 * and which was due. Every fifth throws after it has done all of it.
 */
const source = fn(
  `
  const number = ctx.counter('number').add()
  ctx.setState('key ' + (number % 50), 'x'.repeat(number % 300))
  if (number % 7 === 0) ctx.deleteState('key ' + (number % 11))
  ctx.setState('soon ' + (number % 40), 'y', { ttlMs: 1 + (number % 3) })
  ctx.list('last', { max: 5 }).push(number)
  ctx.setTimer('timer ' + number, ctx.nowMs() + 1 + (number % 4))
  ctx.produceRecord('out', '', JSON.stringify({ number, fired: ctx.counter('fired').get(), last: ctx.list('last').items() }), { partition: record.partition })
  if (record.text() === 'throw') throw new Error('on purpose')`,
  `processTimer(ctx, key) {
    const fired = ctx.counter('fired').add()
    ctx.setState('fired ' + key, '')
    if (fired % 5 === 0) throw new Error('on purpose')
  },`,
)

test('state, timers and outputs reflect the same records, wherever an isolate is ended', async () => {
  const state = new StateStore(64 * 2 ** 20)
  const done = new Array<number>(partitions).fill(0)
  const endMs = performance.now() + timeMs
  let clockMs = nowMs
  let kills = 0
  let timers = 0
  let records = 0
  let cut = 0

  const check = (result: BatchResult, partition: number): void => {
    assert.ok(result.fatal === undefined || result.fatal.code === 'ERR_INSTANCE_STATE', result.fatal?.message)
    timers += result.timersFired
    records += result.records
    for (const output of result.outputs()) {
      assert.equal(output.partition, partition)
      for (const { value } of recordsIn(output)) {
        const { number, last } = JSON.parse(new TextDecoder().decode(value)) as {
          number: number
          last: number[]
        }
        const expected = ++done[partition]!
        assert.equal(number, expected, `record of partition ${partition} after ${kills} kills`)
        assert.deepEqual(
          last,
          Array.from({ length: Math.min(5, expected) }, (_, i) => expected - Math.min(5, expected) + 1 + i),
        )
      }
    }
  }

  while (kills < killsMax && (kills < killsMin || performance.now() < endMs)) {
    const { instance } = await start(source, { state, nowMs: clockMs, manifest: { onError: 'skip' } })
    const partition = kills % partitions
    const texts = Array.from({ length: 20_000 }, (_, i) => record(i % 5 === 4 ? 'throw' : ''))
    const before = await instance.run([frame(texts.slice(0, 20), partition)], ++clockMs)
    check(before, partition)
    const running = instance.run([frame(texts, partition)], ++clockMs)
    await sleep(Math.random() * 12)
    instance.kill()
    const result = await running
    check(result, partition)
    if (result.records > 0 && result.records < texts.length) cut++
    assert.equal(await instance.ended(), true)
    kills++
  }

  assert.ok(cut > kills / 4, `${cut} of ${kills} were ended between two records or in one`)
  const { instance } = await start(source, { state, nowMs: clockMs, manifest: { onError: 'skip' } })
  for (let i = 0; instance.nextTimerMs !== undefined && i < 100_000; i++) {
    clockMs = Math.max(clockMs + 1, instance.nextTimerMs)
    check(await instance.run([], clockMs), 0)
  }
  const { timers: left } = instance.stats()
  assert.equal(left, 0)
  const set = done.reduce((sum, count) => sum + count, 0)
  assert.equal(timers, set, 'each timer was called once')
  assert.ok(records > set, `${records} records, ${set} without those that threw`)
  await instance.destroy()
})
