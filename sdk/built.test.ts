import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

test('codeIsStale as soon as what is here is not what dist/ was made of, whatever its time', async (t) => {
  const checkout = mkdtempSync(join(tmpdir(), 'sdk-'))
  t.after(() => rmSync(checkout, { recursive: true }))
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(checkout, path)), { recursive: true })
    writeFileSync(join(checkout, path), text)
  }
  for (const file of ['built.mjs', 'inputs.mjs', 'isolate-scripts.mjs'])
    cpSync(join(import.meta.dirname, file), join(checkout, 'sdk', file))
  const files = ['package-lock.json', 'tsconfig.json', 'sdk/tsconfig.types.json', 'sdk/api/one.ts']
  for (const path of [...files, 'sdk/api/one.test.ts', 'sdk/cli/main.ts', 'dist/cli.mjs']) write(path, 'one')
  const load = (file: string) => import(pathToFileURL(join(checkout, 'sdk', file)).href)
  const { codeIsStale, inputsOfDist } = await load('built.mjs')
  const { seenInputs } = await load('inputs.mjs')
  /** As build.mjs does at its end. @param startedMs Later than any file here. */
  const build = (startedMs = Date.now() + 60_000): void =>
    write('dist/inputs.json', JSON.stringify(seenInputs(checkout, inputsOfDist(), startedMs)))
  assert.equal(codeIsStale(), true, 'there is no build')
  build()
  assert.equal(codeIsStale(), false)
  const beginning = new Date(0)
  for (const path of files) {
    utimesSync(join(checkout, path), new Date(), new Date(Date.now() + 60_000))
    assert.equal(codeIsStale(), false, `${path}: it was only copied`)
    write(path, 'two')
    utimesSync(join(checkout, path), beginning, beginning)
    assert.equal(codeIsStale(), true, `${path}: another one was put in its place`)
    build()
    assert.equal(codeIsStale(), false)
  }
  write('sdk/api/one.test.ts', 'two')
  assert.equal(codeIsStale(), false, 'nobody is made of tests')
  build(0)
  assert.equal(codeIsStale(), true, 'a source changed while it was bundled')
  rmSync(join(checkout, 'sdk/cli/main.ts'))
  assert.equal(codeIsStale(), false, 'a package has no sources')
})
