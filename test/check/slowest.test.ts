import assert from 'node:assert/strict'
import { test } from 'node:test'
import { slowestText } from './slowest.ts'

test('slowestText names the files that took longest, and what part of all that is', () => {
  const took = [2, 30, 8].map((seconds) => ({ file: `${seconds}.test.ts`, tests: 1, seconds }))
  assert.equal(
    slowestText(took, 2),
    '3 files took 40 s one by one, 95 % of it these 2:\n   30.0 s  30.test.ts\n    8.0 s  8.test.ts',
  )
})
