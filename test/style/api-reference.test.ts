import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiReference, path } from './api-reference.ts'
import { readSource } from './sources.ts'

test('docs: docs/reference/api.md is what the routes say', () => {
  assert.equal(readSource(path), apiReference(), 'run: node test/style/api-reference.ts')
})
