import assert from 'node:assert/strict'
import { test } from 'node:test'
import { steadyClock } from './steady-clock.ts'

test("steadyClock starts at the wall clock's time and then follows the monotonic clock", () => {
  let [wallMs, passedMs] = [1_000_000, 50.4]
  const nowMs = steadyClock({ nowMs: () => wallMs, monotonicMs: () => passedMs })
  assert.equal(nowMs(), 1_000_000)
  wallMs -= 3_600_000
  passedMs += 10
  assert.equal(nowMs(), 1_000_010, 'a clock that is set changes nothing')
})
