import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokenLinks, lostSources } from './links.ts'

test('docs: each link leads to a file that there is, and to a heading that it has', () => {
  assert.deepEqual(brokenLinks(), [])
})

test('docs: each source that is named is there', () => {
  assert.deepEqual(lostSources(), [])
})
