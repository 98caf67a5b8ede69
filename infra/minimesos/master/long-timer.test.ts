import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../clock.ts'
import { afterLong } from './long-timer.ts'

test('afterLong can wait longer than 2^31 ms, and can be stopped at any time', () => {
  const clock = new ManualClock()
  const fired: number[] = []
  afterLong(clock, 5e9, () => void fired.push(clock.nowMs()))
  const cancel = afterLong(clock, 5e9, () => void fired.push(-1))
  clock.advance(4.9e9)
  assert.deepEqual(fired, [])
  cancel()
  clock.advance(1e9)
  assert.deepEqual(fired, [5e9])
})
