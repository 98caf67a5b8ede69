import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { bundlePrograms } from './program-bundles.mjs'
import { bundleName, programs, root } from './programs.mjs'

test('bundlesAreStale if one is missing, or a source, not a test, or the packages are newer', async (t) => {
  const checkout = mkdtempSync(join(tmpdir(), 'bundles-'))
  t.after(() => rmSync(checkout, { recursive: true }))
  const write = (path: string, atSeconds: number): void => {
    mkdirSync(dirname(join(checkout, path)), { recursive: true })
    writeFileSync(join(checkout, path), '')
    utimesSync(join(checkout, path), atSeconds, atSeconds)
  }
  for (const file of ['programs.mjs', 'program-bundles.mjs'])
    cpSync(join(root, 'infra', file), join(checkout, 'infra', file), { preserveTimestamps: true })
  const copy = pathToFileURL(join(checkout, 'infra/program-bundles.mjs')).href
  const { bundlesAreStale } = (await import(copy)) as typeof import('./program-bundles.mjs')
  const later = Date.now() / 1000 + 3_600
  assert.equal(bundlesAreStale(), false, 'there are no sources')
  for (const source of [...programs, 'sdk/index.ts']) write(source, 1)
  assert.equal(bundlesAreStale(), true, 'there are no bundles')
  for (const source of programs) write(`dist/platform/${bundleName(source)}`, later)
  write('gateway/app.test.ts', later + 1)
  assert.equal(bundlesAreStale(), false)
  for (const path of ['gateway/http/deep.ts', 'sdk/index.ts', 'node_modules/.package-lock.json']) {
    write(path, later + 1)
    assert.equal(bundlesAreStale(), true, path)
    write(path, 1)
  }
  rmSync(join(checkout, 'dist/platform', bundleName('runner/host-main.ts')))
  assert.equal(bundlesAreStale(), true, 'one is missing')
})

test('bundlePrograms makes the same of the same sources, with the sources named', async () => {
  const [one, again] = [await bundlePrograms(['runner/main.ts']), await bundlePrograms(['runner/main.ts'])]
  assert.deepEqual(
    one.map(({ name }) => name),
    ['runner-main.js'],
  )
  assert.deepEqual(one, again)
  assert.match(Buffer.from(one[0]!.contents).toString(), /^\/\/ runner\/process\/watchdog\.ts$/m)
})
