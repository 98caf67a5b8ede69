import assert from 'node:assert/strict'
import { readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempDir } from '../test-framework.ts'
import { boundOutput, lastLine, makeSandbox, pruneSandboxes } from './sandbox.ts'

test('makeSandbox gives a reused id another folder', (t) => {
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

test('boundOutput keeps the end of an output that has grown too large, and changes nothing else', (t) => {
  const dir = tempDir(t)
  const sandbox = makeSandbox(dir, 'a', 'c')
  boundOutput(sandbox, 1000, 100) // nothing printed yet
  const text = Array.from({ length: 300 }, (_, i) => `${i}\n`).join('')
  const elsewhere = join(dir, 'elsewhere')
  writeFileSync(elsewhere, text)
  symlinkSync(elsewhere, join(sandbox, 'stderr'))
  writeFileSync(join(sandbox, 'stdout'), text)
  boundOutput(sandbox, text.length, 100)
  assert.equal(readFileSync(join(sandbox, 'stdout'), 'utf8'), text)
  boundOutput(sandbox, text.length - 1, 100)
  assert.equal(
    readFileSync(join(sandbox, 'stdout'), 'utf8'),
    `[${text.length - 100} bytes were cut off here]\n${text.slice(-100)}`,
  )
  assert.equal(readFileSync(elsewhere, 'utf8'), text)
})

test('lastLine returns the last line of stderr, bounded, and never reads another file', (t) => {
  const dir = tempDir(t)
  const [plain, linked, silent, long] = ['a', 'b', 'c', 'd'].map((id) => makeSandbox(dir, id, 'c'))
  writeFileSync(join(plain!, 'stderr'), 'first\nlast of all \n\n')
  writeFileSync(join(dir, 'secret'), 'a secret\n')
  symlinkSync(join(dir, 'secret'), join(linked!, 'stderr'))
  writeFileSync(join(long!, 'stderr'), `${'x'.repeat(10_000)}end`)
  assert.deepEqual([plain!, linked!, silent!].map(lastLine), ['last of all', '', ''])
  assert.ok(lastLine(long!).length <= 4096 && lastLine(long!).endsWith('xend'))
})
