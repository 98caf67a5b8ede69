import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fn, frameOfTexts, nowMs, start, texts, unstarved } from '../testing/harness.ts'

/** A record `KEY WAIT` sets a timer. */
const source = fn(
  `const [key, wait] = record.text().split(' ')
   ctx.setTimer(key, ctx.nowMs() + Number(wait))`,
  `async processTimer(ctx, key, timeMs) {
     if (key === 'loop') for (;;);
     if (key === 'throw') throw new Error('no such tick')
     if (key === 'wait') await new Promise((resolve) => setTimeout(resolve, 1))
     ctx.produceRecord('out', '', key)
   },`,
)

test('SingleIsolate names the timer that threw, whatever its key, and handles it by the policy', async (t) => {
  const { instance } = await start(source.replaceAll("'throw'", "'throw,1\\n☃'"), {
    manifest: { onError: 'deadLetter' },
  })
  t.after(() => instance.destroy())
  await instance.run([frameOfTexts('throw,1\n☃ 5')], nowMs)
  const { timersFired, failures } = await instance.run([], nowMs + 5)
  assert.equal(timersFired, 1)
  assert.deepEqual(
    failures.map(({ index, action, timer, attempts, error }) => [
      index,
      action,
      timer,
      attempts,
      error.message,
    ]),
    [
      [
        Number.POSITIVE_INFINITY,
        'deadLetter',
        { partition: 0, key: 'throw,1\n☃', timeMs: nowMs + 5 },
        1,
        'no such tick',
      ],
    ],
  )
  assert.match(failures[0]!.error.at!, /^fn\.ts:\d+:\d+$/)
})

test('SingleIsolate names the timer in which it ended, in its result and in its message', async (t) => {
  const { fatal, timersFired, timerAtHand, recordAtHand } = await unstarved(async () => {
    const { instance } = await start(source, { manifest: { limits: { callbackMs: 100 } } })
    t.after(() => instance.ended())
    await instance.run([frameOfTexts('good 1', 'loop 2', 'other 3')], nowMs)
    const result = await instance.run([], nowMs + 10)
    if (result.timersFired === 0) throw result.fatal
    return result
  })
  assert.deepEqual([timersFired, recordAtHand], [1, false])
  assert.deepEqual(timerAtHand, { partition: 0, key: 'loop', timeMs: nowMs + 2 })
  assert.match(
    fatal!.message,
    /: the timer for 2026-01-01T00:00:00.002Z in partition 0 \(key 'loop'\) took longer/,
  )
})

test('TimerCalls: next calls nothing, run calls one timer, drop removes it, and set sets it again', async (t) => {
  const { instance } = await start(source)
  t.after(() => instance.destroy())
  await instance.run([frameOfTexts('a 1', 'b 2', 'c 3', 'wait 4')], nowMs)
  const timers = await instance.atTimers()
  const dueMs = nowMs + 4
  const b = { partition: 0, key: 'b', timeMs: nowMs + 2 }
  assert.equal(await timers.next(nowMs), undefined)
  assert.deepEqual(await timers.next(dueMs), { partition: 0, key: 'a', timeMs: nowMs + 1 })
  assert.deepEqual(await timers.next(dueMs), { partition: 0, key: 'a', timeMs: nowMs + 1 }, 'it is still set')
  assert.deepEqual(texts(await timers.run(dueMs)), ['a'])
  assert.deepEqual(await timers.next(dueMs), b)
  await timers.drop(b, dueMs)
  await timers.drop({ ...b, timeMs: nowMs + 99 }, dueMs) // which is not set
  assert.deepEqual(await timers.next(dueMs), { partition: 0, key: 'c', timeMs: nowMs + 3 })
  assert.equal(instance.stats().timers, 2)
  assert.equal(await timers.set(b, dueMs), true)
  assert.equal(await timers.set(b, dueMs), true)
  assert.equal(instance.stats().timers, 3)
  assert.equal(instance.nextTimerMs, nowMs + 3)
  const waits = [await timers.run(dueMs), await timers.run(dueMs)]
  assert.deepEqual(waits.flatMap(texts), ['c'])
  assert.equal(waits[1]!.pending, true)
  assert.deepEqual(texts(await instance.resume()), ['wait'])
  assert.deepEqual(texts(await instance.run([], dueMs)), ['b'], 'set again it is due behind the others')
})

test('TimerCalls hands in memory that a timer needs, and reports when state is full', async (t) => {
  const { instance } = await start(source, { manifest: { limits: { stateMib: 1 } } })
  t.after(() => instance.destroy())
  await instance.run([frameOfTexts('a 1')], nowMs)
  const timers = await instance.atTimers()
  const timer = (n: number) => ({ partition: 0, key: `${n}`.padStart(30_000, 'x'), timeMs: nowMs + n })
  let set = 0
  while (await timers.set(timer(set), nowMs)) set++
  assert.ok(set > 10 && set < 40, `${set} of 30 kB in 1 MiB`)
  assert.equal(instance.stats().timers, set + 1)
  await timers.drop(timer(3), nowMs)
  assert.equal(await timers.set(timer(3), nowMs), true)
  assert.equal(instance.isEnded, false)
})
