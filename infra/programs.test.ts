import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { bundleFile, isolateScript, isolateScripts, programFile, programs, root } from './programs.mjs'

test('each program has a source, from which a process started from sources starts it, and a bundle, which a bundle starts (PG1)', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bundles-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const copy = join(folder, 'dist', 'platform', 'any.js')
  cpSync(join(root, 'infra/programs.mjs'), copy)
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  const inBundle = (await import(pathToFileURL(copy).href)) as typeof import('./programs.mjs')
  assert.equal(inBundle.root.replace(/\/$/, ''), folder)
  for (const source of programs) {
    assert.equal(programFile(source), join(root, source))
    assert.ok(existsSync(join(root, source)) && existsSync(bundleFile(source)), source)
    assert.equal(inBundle.programFile(source), inBundle.bundleFile(source))
  }
  for (const name of isolateScripts) {
    writeFileSync(join(folder, 'dist', 'platform', name), name)
    assert.equal(await inBundle.isolateScript(name), name, 'the one beside it, whatever else is in dist/')
    assert.equal(await isolateScript(name), readFileSync(join(root, 'dist', name), 'utf8'))
    assert.ok(existsSync(join(root, 'dist', 'platform', name)), name)
  }
})
