import assert from 'node:assert/strict'
import { test } from 'node:test'
import { qualityOf } from './quality.ts'

const labels = new Map([
  ['a', true],
  ['b', true],
  ['c', true],
  ['d', false],
  ['e', false],
])

test('qualityOf counts clients found, rightly and wrongly', () => {
  const found = new Set(['a', 'b', 'd'])
  assert.deepEqual(
    qualityOf(labels, (client) => found.has(client)),
    { found: 3, frauds: 3, right: 2, precision: 2 / 3, recall: 2 / 3 },
  )
})

test('qualityOf is 1 where nothing could go wrong', () => {
  assert.deepEqual(
    qualityOf(labels, () => false),
    { found: 0, frauds: 3, right: 0, precision: 1, recall: 0 },
  )
  assert.deepEqual(
    qualityOf(new Map([['d', false]]), () => false),
    { found: 0, frauds: 0, right: 0, precision: 1, recall: 1 },
  )
})
