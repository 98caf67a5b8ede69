import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
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

test('bundleProject refuses code that no gateway takes, and at once if its source map would be too large as well (E7)', async (t) => {
  const mib = 2 ** 20
  const sourceOf = (bytes: number) => `export default '${'x'.repeat(bytes)}'`
  const refused = (what: string) =>
    new RegExp(`^Cannot deploy index\\.ts: ${what} has \\d+ bytes, and 10485760 bytes of code are the most`)
  await assert.rejects(bundle(t, { 'index.ts': sourceOf(11 * mib) }), {
    ...{ code: 'ERR_BUNDLE_FAILED', message: refused('its bundle') },
  })
  await assert.rejects(bundle(t, { 'index.ts': sourceOf(41 * mib) }), {
    ...{ code: 'ERR_BUNDLE_FAILED', message: refused('it') },
  })
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

test('bundleProject reports globals that Node has and an isolate has not, with their first place in each file', async (t) => {
  const { absent } = await bundle(t, {
    'index.ts': `import { defineFunction } from 'concord'
import { hash, size } from './lib/size.ts'
const local = (Buffer: { fetch: number }, fetch = 1) => ({ Buffer, fetch, process: Buffer.fetch, Event: class AbortSignal {} })
export default defineFunction({
  metadata: { name: 'a' },
  async processRecord(ctx, record) {
    const bytes = Buffer.from(record.value)
    const signal = new AbortController().signal
    await fetch('http://x', { signal })
    await crypto.subtle.digest('SHA-256', bytes)
    console.log(local(bytes as never), hash(bytes), size(Buffer.concat([])), new URL('a:b'), crypto.randomUUID(), globalThis.process?.env)
    await new Promise((resolve) => setTimeout(resolve, 1))
  },
})`,
    'lib/size.ts': `export const size = (data: Uint8Array) =>
  typeof process !== 'undefined' && process.env ? data.length : Buffer.byteLength(data)
export const hash = (data: Uint8Array) => crypto?.subtle && crypto.subtle.digest('SHA-256', data)`,
  })
  const found = (name: string, place: string, more: number) => ({
    names: [name],
    package: undefined,
    place,
    more,
  })
  assert.deepEqual(
    absent.toSorted((a, b) => (a.place < b.place ? -1 : 1)),
    [
      found('crypto.subtle', 'index.ts:10:11', 0),
      found('Buffer', 'index.ts:7:19', 1),
      found('AbortController', 'index.ts:8:24', 0),
      found('fetch', 'index.ts:9:11', 0),
      found('Buffer', 'lib/size.ts:2:65', 0),
    ],
  )
})

test('bundleProject tells a file outside of the project from one of its own with the same name', async (t) => {
  const folder = temporaryFolder(t)
  const files = {
    'mine/index.ts':
      "import { bytes } from '../shared/index.ts'\nexport default { metadata: { name: 'a' }, init: () => typeof Buffer === 'object' && bytes('a') }",
    'shared/index.ts': 'export const bytes = (text: string) => Buffer.from(text)',
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const { absent } = await bundleProject({ root }, await openProject(join(folder, 'mine/index.ts')))
  assert.deepEqual(absent, [
    { names: ['Buffer'], package: undefined, place: '../shared/index.ts:1:40', more: 0 },
  ])
})

test('bundleProject names files outside of the project by their package, each by a name of its own', async (t) => {
  const folder = temporaryFolder(t)
  const files = {
    'functions/parse/src/index.ts': `
      import { a } from '../../../packages/shared/src/index.ts'
      import { b } from '../../../packages/plain/src/index.ts'
      import { c } from '../../../../beside/index.ts'
      import { d } from '../@acme/shared/src/index.ts'
      import { e } from 'hoisted'
      export default { metadata: { name: a + b + c + d + e } }`,
    'functions/parse/concord.jsonc': '{"name": "parse", "main": "src/index.ts"}',
    'functions/parse/@acme/shared/src/index.ts': "export const d = 'own'",
    'functions/parse/package.json': '{"name": "parse"}',
    'packages/shared/src/index.ts': "export const a = 'shared'",
    'packages/shared/src/package.json': '{"type": "module"}',
    'packages/shared/package.json': '{"name": "@acme/shared"}',
    'packages/plain/src/index.ts': "export const b = 'plain'",
    'package.json': '{"name": "acme"}',
    '../beside/index.ts': "export const c = 'beside'",
    'node_modules/hoisted/index.js': "export const e = 'hoisted'",
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'repo', name)), { recursive: true })
    writeFileSync(join(folder, 'repo', name), text)
  }
  const project = await openProject(join(folder, 'repo/functions/parse'))
  const { sources, sourcesContent } = JSON.parse((await bundleProject({ root }, project)).sourceMap)
  assert.deepEqual(
    Object.fromEntries(
      sources.map((name: string, i: number) => [name, /'(\w+)'$/.exec(sourcesContent[i])?.[1]]),
    ),
    {
      '~@acme/shared/src/index.ts': 'shared',
      'acme/packages/plain/src/index.ts': 'plain',
      'beside/index.ts': 'beside',
      '@acme/shared/src/index.ts': 'own',
      'node_modules/hoisted/index.js': 'hoisted',
      'src/index.ts': undefined,
    },
  )
})

test('bundleProject finds what is used once, and a member in brackets', async (t) => {
  for (const [name, expression] of [
    ['setInterval', 'setInterval(String, 1)'],
    ['crypto.subtle', "crypto['subtle'].digest('SHA-256', '')"],
    ['import.meta.url', "new URL('model.json', import.meta.url)"],
  ]) {
    const source = `export default { metadata: { name: 'a' }, init: () => ${expression} }`
    const { absent } = await bundle(t, { 'index.ts': source })
    assert.deepEqual(
      absent.flatMap(({ names }) => names),
      [name],
    )
  }
})

test('bundleProject finds a global that only later Nodes have', async (t) => {
  const own = Object.getOwnPropertyDescriptor(globalThis, 'navigator')
  if (own !== undefined) Reflect.deleteProperty(globalThis, 'navigator') // as on Node 20
  t.after(() => own !== undefined && Object.defineProperty(globalThis, 'navigator', own))
  const source = `export default { metadata: { name: 'a' }, init: () => navigator.hardwareConcurrency }`
  const { absent } = await bundle(t, { 'index.ts': source })
  assert.deepEqual(absent, [{ names: ['navigator'], package: undefined, place: 'index.ts:1:55', more: 0 }])
})

test('bundleProject reports a package once, and not for what it asks for first', async (t) => {
  const folder = temporaryFolder(t)
  const files = {
    'mine/index.ts':
      "import { hash } from 'hasher'\nimport '@of/careful'\nexport default { metadata: { name: 'a' }, init: () => hash('a') }",
    'node_modules/hasher/index.js':
      "export { hash } from './hash.js'\nexport const unused = () => setInterval",
    'node_modules/hasher/hash.js':
      'export const hash = (text) => Buffer.from(text, process.env.CODE) && process.version',
    'node_modules/@of/careful/index.js':
      "import './node.js'\nif (typeof process === 'object') globalThis.isNode = true",
    'node_modules/@of/careful/node.js': 'globalThis.version = globalThis.isNode && process.version',
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const { absent, sourceMap } = await bundleProject(
    { root },
    await openProject(join(folder, 'mine/index.ts')),
  )
  assert.deepEqual(
    JSON.parse(sourceMap).sources.filter((source: string) => source.includes('careful')),
    ['node_modules/@of/careful/node.js', 'node_modules/@of/careful/index.js'],
  )
  assert.deepEqual(absent, [
    { names: ['Buffer', 'process'], package: 'hasher', place: 'node_modules/hasher/hash.js:1:31', more: 2 },
  ])
})
