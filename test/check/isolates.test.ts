import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makesIsolates } from './isolates.ts'

test('makesIsolates follows imports and scripts of threads to isolated-vm, but not types', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'isolates-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const files = {
    'vm.ts': "import ivm from 'isolated-vm'",
    'far.ts': "export * from './vm.ts'\nimport './far.ts'",
    'thread.ts': "new Worker(new URL('vm.ts', import.meta.url))",
    'late.ts': "await import('./far.ts')",
    'types.ts': "import type { Isolate } from './vm.ts'\nimport { readFileSync } from 'node:fs'",
    'data.ts': "import data from './data.json' with { type: 'json' }",
    'data.json': '{}',
  }
  for (const [name, source] of Object.entries(files)) writeFileSync(join(folder, name), source)
  const found = Object.keys(files).filter((name) => makesIsolates(join(folder, name)))
  assert.deepEqual(found, ['vm.ts', 'far.ts', 'thread.ts', 'late.ts'])
})
