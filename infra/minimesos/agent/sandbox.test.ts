import assert from 'node:assert/strict'
import { readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../test-framework.ts'
import { makeSandbox, pruneSandboxes } from './sandbox.ts'

test('makeSandbox gives an id that was used before another folder', (t) => {
  const dir = tempDir(t)
  assert.equal(makeSandbox(dir, 'a', 'c1'), join(dir, 'sandboxes', 'a'))
  assert.equal(makeSandbox(dir, 'a', 'c2'), join(dir, 'sandboxes', 'a.c2'))
})

test('pruneSandboxes removes the oldest without a task', (t) => {
  const dir = tempDir(t)
  const paths = ['a', 'b', 'c', 'd'].map((id) => makeSandbox(dir, id, 'c'))
  for (const [i, path] of paths.entries()) utimesSync(path, i, i)
  pruneSandboxes(dir, new Set([paths[0]!]), 1)
  assert.deepEqual(readdirSync(join(dir, 'sandboxes')).sort(), ['a', 'd'])
})
