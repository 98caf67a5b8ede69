import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../test-framework.ts'
import { findCgroupParent } from './cgroup.ts'

test('findCgroupParent finds nothing in plain folders, and creates nothing there', (t) => {
  const root = tempDir(t)
  mkdirSync(join(root, 'memory', 'own'), { recursive: true })
  assert.equal(findCgroupParent(root, '4:memory:/own\n3:cpu:/\n'), undefined)
  assert.equal(findCgroupParent(root, '0::/own\n'), undefined)
  assert.equal(findCgroupParent(root, ''), undefined)
  assert.deepEqual(readdirSync(join(root, 'memory', 'own')), [])
})
