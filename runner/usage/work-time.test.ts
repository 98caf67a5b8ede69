import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { WorkTime } from './work-time.ts'

test('WorkTime separates idle from blocked, counts a wait that is not over, and counts the rest as work (WT1)', () => {
  const clock = new ManualClock(0)
  const time = new WorkTime(clock)
  const pass = (ms: number) => clock.advance(ms)
  pass(10)
  time.waits('input')
  pass(20)
  time.went()
  time.waits('credit')
  pass(30)
  time.went()
  time.waits('time')
  pass(5)
  time.went()
  time.waits('input')
  pass(100)
  assert.deepEqual(time.report(), { elapsedMs: 165, idleMs: 120, blockedMs: 30 })
})

test('WorkTime counts the time of a call once for each record that it finished', () => {
  const clock = new ManualClock(0)
  const time = new WorkTime(clock)
  for (const [ms, records] of [
    [2, 99],
    [40, 1],
    [500, 0],
  ] as const) {
    time.called()
    clock.advance(ms)
    time.answered(records)
  }
  const { calls } = time.report()
  assert.equal(calls?.count, 100)
  assert.equal(calls?.sum, 2 * 99 + 40)
  assert.equal(calls?.max, 40)
})
