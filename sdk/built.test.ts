import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
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
  const build = (startedMs = Date.now() + 60_000): void => {
    const made = { inputs: seenInputs(checkout, inputsOfDist(), startedMs), outputs: ['cli.mjs'] }
    write('dist/inputs.json', JSON.stringify(made))
  }
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

test('concord builds dist/ again if one of its files is gone', async (t) => {
  const root = join(import.meta.dirname, '..')
  const checkout = mkdtempSync(join(tmpdir(), 'sdk-'))
  t.after(() => rmSync(checkout, { recursive: true }))
  for (const path of ['sdk', 'package.json', 'package-lock.json', 'tsconfig.json'])
    cpSync(join(root, path), join(checkout, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))
  const version = () => {
    const bin = join(checkout, 'sdk/cli/bin.mjs')
    const { stdout, stderr } = spawnSync(process.execPath, [bin, '--version'], { encoding: 'utf8' })
    return { stdout, stderr }
  }
  const said = version()
  assert.match(said.stdout, /^\d+\.\d+\.\d+\n$/)
  const files = readdirSync(join(checkout, 'dist'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  for (const name of ['cli.mjs', 'sdk.js', 'runtime.js', 'inputs.json'])
    assert.ok(files.includes(join(checkout, 'dist', name)), name)
  const { codeIsStale } = await import(pathToFileURL(join(checkout, 'sdk/built.mjs')).href)
  for (const file of files) {
    renameSync(file, join(checkout, 'away'))
    assert.equal(codeIsStale(), true, `${file} is gone`)
    renameSync(join(checkout, 'away'), file)
    assert.equal(codeIsStale(), false, file)
  }
  rmSync(join(checkout, 'dist/cli.mjs'))
  assert.deepEqual(version(), said)
})
