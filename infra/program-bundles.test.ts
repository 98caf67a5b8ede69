import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { bundlePrograms } from './program-bundles.mjs'
import { bundleName, isolateScripts, programs, root } from './programs.mjs'

/** A checkout whose programs each say what infra/log.ts and package.json do. */
async function makeCheckout(t: TestContext) {
  const checkout = mkdtempSync(join(tmpdir(), 'bundles-'))
  t.after(() => rmSync(checkout, { recursive: true }))
  const at = (path: string): string => join(checkout, path)
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(at(path)), { recursive: true })
    writeFileSync(at(path), text)
  }
  for (const file of ['programs.mjs', 'program-bundles.mjs'])
    cpSync(join(root, 'infra', file), at(`infra/${file}`))
  cpSync(join(root, 'sdk/inputs.mjs'), at('sdk/inputs.mjs'))
  symlinkSync(join(root, 'node_modules'), at('node_modules'))
  write('package.json', '{ "type": "module", "version": "1.0.0" }')
  write('tsconfig.json', '{}')
  write('infra/log.ts', "export const log: string = 'one'")
  write('sdk/built.mjs', "export const isolateScript = async (name) => 'script ' + name")
  for (const name of isolateScripts) write(`dist/${name}`, name)
  const text =
    "import { log } from '../infra/log.ts'\nimport about from '../package.json' with { type: 'json' }\nconsole.log(log, about.version)"
  for (const source of programs)
    write(source, text.replaceAll('../', '../'.repeat(source.split('/').length - 1)))
  const { bundlesAreStale, bundlesAreWhole } = (await import(
    pathToFileURL(at('infra/program-bundles.mjs')).href
  )) as typeof import('./program-bundles.mjs')
  const build = () =>
    spawnSync(process.execPath, [at('infra/program-bundles.mjs')], { cwd: checkout, encoding: 'utf8' })
  return { at, write, build, bundlesAreStale, bundlesAreWhole }
}

test('bundlesAreStale as soon as what is here is not what was bundled, whatever its time', async (t) => {
  const { at, write, build, bundlesAreStale } = await makeCheckout(t)
  assert.equal(bundlesAreStale(), true, 'there are no bundles')
  assert.equal(build().stderr, '')
  assert.equal(bundlesAreStale(), false)
  const beginning = new Date(0)
  for (const path of [
    'infra/log.ts',
    'package.json',
    'tsconfig.json',
    'dist/runtime.js',
    'infra/program-bundles.mjs',
  ]) {
    const before = readFileSync(at(path), 'utf8')
    write(path, before.length > 0 ? `${before} ` : '{}')
    utimesSync(at(path), beginning, beginning)
    assert.equal(bundlesAreStale(), true, `${path}, with an old time`)
    write(path, before)
    assert.equal(bundlesAreStale(), false, `${path}, written again as it was`)
  }
  write('infra/log.ts', "export const log: string = 'two'")
  assert.equal(bundlesAreStale(), true, 'as long as it was')
  assert.equal(build().stderr, '')
  assert.equal(bundlesAreStale(), false)
  write('gateway/app.test.ts', 'no program holds this')
  assert.equal(bundlesAreStale(), false)
  const made = ['runtime.js', bundleName('runner/host-main.ts')].map((name) => `dist/platform/${name}`)
  for (const path of ['infra/log.ts', ...made]) {
    renameSync(at(path), at('away'))
    assert.equal(bundlesAreStale(), true, `${path} is gone`)
    renameSync(at('away'), at(path))
    assert.equal(bundlesAreStale(), false)
  }
})

test('bundlesAreStale is false where there are no sources', async (t) => {
  const { at, bundlesAreStale } = await makeCheckout(t)
  rmSync(at(programs[0]!))
  assert.equal(bundlesAreStale(), false)
})

test('A build leaves nothing beside its files, removes what a killed one left, and replaces nothing if it fails (BN3)', async (t) => {
  const { at, write, build, bundlesAreStale, bundlesAreWhole } = await makeCheckout(t)
  write('dist/platform/.new-1/gateway-main.js', '')
  build()
  assert.deepEqual(
    readdirSync(at('dist/platform')).sort(),
    [...programs.map(bundleName), ...isolateScripts, 'inputs.json'].sort(),
  )
  assert.equal(readFileSync(at('dist/platform/runtime.js'), 'utf8'), 'script runtime.js')
  write('infra/log.ts', 'export const = ')
  assert.match(build().stderr, /infra\/log\.ts:1:13/)
  assert.deepEqual([bundlesAreStale(), bundlesAreWhole()], [true, true])
  write('infra/log.ts', "export const log: string = 'three'")
  rmSync(at('dist/platform/runtime.js'))
  mkdirSync(at('dist/platform/runtime.js')) // the build stops half way through its renames
  assert.notEqual(build().status, 0)
  assert.equal(existsSync(at('dist/platform/inputs.json')), false)
  assert.deepEqual([bundlesAreStale(), bundlesAreWhole()], [true, false])
})

test('bundlePrograms makes the same of the same sources, with the sources named', async () => {
  const { files: one } = await bundlePrograms(['runner/main.ts'])
  const { files: again } = await bundlePrograms(['runner/main.ts'])
  assert.deepEqual(
    one.map(({ name }) => name),
    ['runner-main.js'],
  )
  assert.deepEqual(one, again)
  assert.match(Buffer.from(one[0]!.contents).toString(), /^\/\/ runner\/process\/watchdog\.ts$/m)
})

test('bundlePrograms takes of zod what is used, and one of its languages', async () => {
  const { files } = await bundlePrograms(['gateway/main.ts', 'infra/local/up.ts', 'runner/host-main.ts'])
  for (const { name, contents } of files) {
    const found = Buffer.from(contents)
      .toString()
      .matchAll(/^\/\/ .*\/zod\/v4\/(.*)\.js$/gm)
    const parts = new Set([...found].map(([, part]) => part!))
    parts.delete('locales/index') // the list of them
    assert.deepEqual(
      [...parts].filter((part) => part.startsWith('locales/')),
      ['locales/en'],
      name,
    )
    // `import * as z` takes what is named; `import { z }` takes all, as hono's package does.
    assert.equal(parts.has('classic/from-json-schema'), name === 'gateway-main.js', name)
  }
})

test('bundlePrograms puts no HTTP client beside its own into the scheduler', async () => {
  const { inputs } = await bundlePrograms(['scheduler/main.ts'])
  assert.ok(inputs.includes('scheduler/mesos/master-client.ts'))
  assert.deepEqual(
    inputs.filter((path) => path.includes('node_modules/undici/')),
    [],
  )
})
