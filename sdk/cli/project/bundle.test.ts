import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { CodedError } from '../../errors.ts'
import { root, temporaryFolder } from '../test-cli.ts'
import { bundleProject } from './bundle.ts'
import { openProject } from './project.ts'

async function bundle(t: TestContext, files: Readonly<Record<string, string>>) {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'lib'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return bundleProject({ root }, await openProject(join(folder, 'index.ts')))
}

async function refusal(t: TestContext, source: string): Promise<string> {
  const error: unknown = await bundle(t, { 'index.ts': source }).catch((error) => error)
  assert.ok(error instanceof CodedError && error.code === 'ERR_BUNDLE_FAILED', String(error))
  return error.message
}

test('bundleProject makes one module without imports, with a source map that names no folder of the machine', async (t) => {
  const { code, sourceMap } = await bundle(t, {
    'index.ts':
      "import { defineFunction } from 'concord'\nimport { word } from './lib/word.ts'\nexport default defineFunction({ metadata: { name: word } })",
    'lib/word.ts': "export const word: string = 'hi'",
  })
  assert.doesNotMatch(code, /^import /m)
  const { default: definition } = await import(`data:text/javascript,${encodeURIComponent(code)}`)
  assert.equal(definition.metadata.name, 'hi')
  const { sources, sourcesContent } = JSON.parse(sourceMap)
  assert.ok(sources.includes('index.ts') && sources.includes('lib/word.ts'))
  assert.doesNotMatch(code, /\.\.\//)
  for (const source of sources) assert.doesNotMatch(source, /^\/|\.\.\/|home|tmp/)
  assert.match(sourcesContent[sources.indexOf('lib/word.ts')], /word: string/)
})

test('bundleProject leaves a single source unbundled if the gateway makes the same of it', async (t) => {
  const source =
    "import { defineFunction } from 'concord'\nexport default defineFunction({ metadata: { name: 'a' } })"
  const { alone } = await bundle(t, {
    'index.ts': source,
    'tsconfig.json': '{"compilerOptions":{"strict":true}}',
  })
  assert.deepEqual([alone?.file, alone && Buffer.from(alone.source).toString()], ['index.ts', source])
  const others: Record<string, Record<string, string>> = {
    'imports another': { 'index.ts': `import './lib/b.ts'\n${source}`, 'lib/b.ts': 'globalThis.b = 1' },
    'awaits at its top': { 'index.ts': `await null\n${source}` },
    'is compiled by a tsconfig': {
      'index.ts': `class A { a = 1 }\nconsole.log(A)\n${source}`,
      'tsconfig.json': '{"compilerOptions":{"useDefineForClassFields":false}}',
    },
  }
  for (const [what, files] of Object.entries(others))
    assert.equal((await bundle(t, files)).alone, undefined, what)
})

test('bundleProject names the line and column of a compile error', async (t) => {
  assert.match(
    await refusal(t, 'export default {\n  a: 1\n  b: 2\n}'),
    /^Cannot bundle index.ts: index.ts:3:3: Expected "}" but found "b"/,
  )
})

test('bundleProject refuses modules that do not exist where functions run', async (t) => {
  const said = await refusal(t, "import 'node:fs'")
  assert.match(said, /index.ts:1:8: 'node:fs' is not there where functions run/)
  const [, page, heading] = /see (docs\/[\w-]+\.md), "([^"]+)"$/.exec(said)!
  assert.match(
    readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8'),
    RegExp(`^## ${heading}$`, 'm'),
  )
  assert.match(await refusal(t, "import 'concord/testkit'"), /'concord\/testkit' is for tests/)
})

test('bundleProject says what to do about an import that is not found', async (t) => {
  const said = (name: string) => refusal(t, `import '${name}'`)
  for (const name of ['fs', 'fs/promises', 'node:fs'])
    assert.match(
      await said(name),
      new RegExp(`1:8: '${name}' is not there .* no module of Node .*docs/functions\\.md`),
    )
  assert.match(await said('left-pad'), /1:8: Could not resolve "left-pad": .*'npm install left-pad' in the/)
  assert.match(await said('@of/some/part.js'), /'npm install @of\/some' in the project$/)
  assert.match(await said('./lib/none.ts'), /Could not resolve "\.\/lib\/none\.ts"$/)
})

test('bundleProject accepts a package with the name of a Node module', async (t) => {
  const { code } = await bundle(t, {
    'index.ts': "import { word } from 'events'\nexport default { metadata: { name: word } }",
    'lib/events.ts': "export const word = 'of a package'",
    'tsconfig.json': '{"compilerOptions":{"paths":{"events":["./lib/events.ts"]}}}',
  })
  assert.match(code, /of a package/)
})
