import assert from 'node:assert/strict'
import { test } from 'node:test'
import { path, settingsReference } from './settings-reference.ts'
import { readSource } from './sources.ts'

test('docs: docs/reference/settings.md is what the settings say', () => {
  assert.equal(readSource(path), settingsReference(), 'run: node test/style/settings-reference.ts')
})
