import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, spread } from './statistics.ts'

test('median is the middle of an odd number of values, the mean of the two in the middle of an even', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([9, 1, 5, 6]), 5.5)
  assert.throws(() => median([]), RangeError)
})

test('spread is half the range over the median', () => {
  assert.equal(spread([90, 100, 110]), 0.1)
  assert.equal(spread([7]), 0)
  assert.equal(spread([0, 0]), 0)
})
