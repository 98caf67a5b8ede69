import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { findTestFiles, longest } from './test-files.ts'

const root = join(import.meta.dirname, '../..')

test('findTestFiles has the longest first, each of which is there, then the others by name', () => {
  const { all } = findTestFiles(root, [])
  assert.deepEqual(all.slice(0, longest.length), longest)
  const others = all.slice(longest.length)
  assert.deepEqual(others, [...others].sort())
})

test('findTestFiles puts each file into one kind, and takes those whose path has one of the patterns', () => {
  const { all, style, unit, system } = findTestFiles(root, [])
  assert.deepEqual([...style, ...unit, ...system].sort(), [...all].sort())
  const some = findTestFiles(root, ['check/test-files', 'test/layout'])
  assert.deepEqual(some.all, ['test/check/test-files.test.ts', 'test/layout.test.ts'])
  assert.deepEqual([some.style, some.system], [['test/layout.test.ts'], []])
})
