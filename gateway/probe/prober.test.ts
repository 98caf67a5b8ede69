import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock, systemClock } from '../../infra/clock.ts'
import type { CodedError } from '../../sdk/errors.ts'
import { Prober, readyMs } from './prober.ts'

let prober: Prober
before(() => {
  prober = new Prober(systemClock)
})
after(() => prober.close())

const none = new Uint8Array(0)

function source(text: string, file = 'fn.ts') {
  return prober.probe({ kind: 'source', file, code: Buffer.from(text), sourceMap: none })
}

function bundle(text: string, sourceMap = '') {
  return prober.probe({
    kind: 'bundle',
    file: 'bundle.js',
    code: Buffer.from(text),
    sourceMap: Buffer.from(sourceMap),
  })
}

async function refusal(probed: Promise<unknown>): Promise<CodedError> {
  return await probed.then(
    () => assert.fail('it was taken'),
    (error: CodedError) => error,
  )
}

test('Prober compiles a TypeScript source that imports concord and reads its metadata', async () => {
  const text = `import { defineFunction, groupBy, type Context } from 'concord'
import type { Nothing } from './types-vanish.ts'
const rate: number = 3
console.log('top level', rate, new Nothing0().x)
class Nothing0 { x = 1 as const }
export default defineFunction({
  metadata: { name: 'shout', istreams: { words: groupBy }, ostreams: ['loud'] },
  processRecord(ctx: Context) { ctx.nowMs() },
})`
  // The class is used before it is declared: proof that the error's place is the author's.
  const error = await refusal(source(text))
  assert.equal(error.code, 'ERR_LOAD_THREW')
  assert.deepEqual(error.detail['location'], { file: 'fn.ts', line: 4, column: 36 })

  const probed = await source(text.replace('new Nothing0().x', '1'))
  assert.deepEqual(probed.metadata, { name: 'shout', istreams: { words: 'groupBy' }, ostreams: ['loud'] })
  assert.deepEqual(probed.callbacks, ['processRecord'])
  const map = JSON.parse(Buffer.from(probed.sourceMap).toString()) as { sources: string[] }
  assert.deepEqual(map.sources, ['fn.ts'])

  // What is stored is a bundle that needs nothing: it loads as one.
  const again = await bundle(Buffer.from(probed.bundle).toString(), Buffer.from(probed.sourceMap).toString())
  assert.deepEqual(again.metadata, probed.metadata)
})

test('Prober gives a bundle the globals that it will find in a runner', async () => {
  const probed = await bundle(`console.log('top level')
const host = new URL('http://a.example/b').host + new TextDecoder().decode(new TextEncoder().encode('é'))
export default { metadata: { name: host, ostreams: [typeof crypto.randomUUID(), btoa('a'), String(structuredClone({ a: 1 }).a)] } }`)
  assert.deepEqual(probed.metadata, { name: 'a.exampleé', ostreams: ['string', 'YQ==', '1'] })
})

test('Prober accepts a JavaScript source, recognized by its name', async () => {
  const probed = await source("export default { metadata: { name: 'a' }, processTimer() {} }", 'fn.js')
  assert.deepEqual([probed.metadata, probed.callbacks], [{ name: 'a' }, ['processTimer']])
})

test('Prober says line and column of a syntax error in a source and, through its map, in a bundle', async () => {
  const inSource = await refusal(source('const a = 1\nexport default { metadata: ( }'))
  assert.equal(inSource.code, 'ERR_SOURCE_INVALID')
  assert.deepEqual(inSource.detail['location'], { file: 'fn.ts', line: 2, column: 30 })

  const inBundle = await refusal(bundle('const a = 1\nexport default { metadata: ( }'))
  assert.equal(inBundle.code, 'ERR_SOURCE_INVALID')
  assert.deepEqual(inBundle.detail['location'], { file: 'bundle.js', line: 2, column: 30 })

  // Line 2, column 0 comes from line 41 (index 40), column 8 of score.ts.
  const map = JSON.stringify({ version: 3, sources: ['score.ts'], names: [], mappings: ';AAwCQ' })
  const mapped = await refusal(bundle('const a = 1\nexport default { metadata: ( }', map))
  assert.deepEqual(mapped.detail['location'], { file: 'score.ts', line: 41, column: 9 })
})

test('Prober refuses every import but concord, where it stands', async (t) => {
  const imports = {
    "import { a } from './secret.js'\nexport default a": [1, 1],
    "export const x = 1\nimport fs from 'node:fs'\nexport default fs": [2, 1],
    "export default 1\nimport x from 'data:text/javascript,export default 1'\nexport { x }": [2, 1],
    "const x = require('/etc/passwd')\nexport default x": [1, 11],
  }
  for (const [text, [line]] of Object.entries(imports)) {
    await t.test(text, async () => {
      const error = await refusal(source(text))
      assert.equal(error.code, 'ERR_IMPORT_REFUSED')
      assert.equal((error.detail['location'] as { line: number }).line, line)
    })
  }
  const error = await refusal(bundle("import fs from 'node:fs'\nexport default { metadata: { name: 'a' } }"))
  assert.equal(error.code, 'ERR_IMPORT_REFUSED')
  assert.match(error.message, /node:fs/)
})

test('Prober reads no file of the host for a source: computed imports and source map comments find nothing', async (t) => {
  const dir = await mkdtemp('/tmp/concord-secret-')
  t.after(() => rm(dir, { recursive: true }))
  await writeFile(join(dir, 'secret.js'), 'export const secret = "HOST-SECRET"')
  const map = { version: 3, sources: ['s'], sourcesContent: ['HOST-SECRET'], mappings: 'AAAA' }
  await writeFile(join(dir, 'secret.map'), JSON.stringify(map))
  const tail = "export default { metadata: { name: 'a' }, init() { return f } }"
  const attempts = [
    `const f = (x) => require('../../../../../..${dir}/' + x + '.js')\n${tail}`,
    `const f = (x) => import('../../../../../..${dir}/' + x + '.js')\n${tail}`,
    `const f = (x) => import(\`./\${x}.js\`)\n${tail}`,
    `const f = 1\n${tail}\n//# sourceMappingURL=file://${dir}/secret.map`,
    `const f = 1\n${tail}\n//# sourceMappingURL=${dir}/secret.map`,
    `const f = new URL('${dir}/secret.js', import.meta.url)\n${tail}`,
  ]
  for (const text of attempts) {
    const probed = await source(text).then(
      (ok) => Buffer.from(ok.bundle).toString() + Buffer.from(ok.sourceMap).toString(),
      (error: CodedError) => error.message,
    )
    assert.doesNotMatch(probed, /HOST-SECRET/, text)
  }
})

test('Prober shows a bundle neither the environment nor the process', async () => {
  const probed = await bundle(`export default { metadata: {
    name: typeof process, istreams: { a: [typeof require, typeof fetch, typeof WebAssembly, typeof SharedArrayBuffer].join() } } }`)
  assert.deepEqual(probed.metadata, {
    name: 'undefined',
    istreams: { a: 'undefined,undefined,undefined,undefined' },
  })
})

const hostile: Readonly<Record<string, [code: RegExp, bundle: string]>> = {
  'a loop at its top level': [/^ERR_LOAD_DEADLINE$/, 'for (;;) {}'],
  'a loop behind an await': [/^ERR_LOAD_DEADLINE$/, 'await null\nfor (;;) {}'],
  'a getter that loops': [/^ERR_LOAD_DEADLINE$/, 'export default { get metadata() { for (;;) {} } }'],
  'a toJSON that loops': [/^ERR_LOAD_DEADLINE$/, 'export default { metadata: { toJSON() { for (;;) {} } } }'],
  'a thrown error whose message loops': [
    /^ERR_LOAD_DEADLINE$/,
    "throw Object.defineProperties(new Error('a'), { message: { get() { for (;;) {} } }, stack: { get() { for (;;) {} } } })",
  ],
  'a built-in that cannot be interrupted': [
    /^ERR_LOAD_(DEADLINE|MEMORY|CRASHED)$/,
    'Array(2 ** 32 - 1).fill(0)',
  ],
  'an array that grows for ever': [
    /^ERR_LOAD_(MEMORY|DEADLINE|CRASHED)$/,
    'const a = []\nfor (;;) a.push(new Array(1000).fill(1))',
  ],
  'buffers that grow past the isolate': [
    /^ERR_LOAD_(MEMORY|DEADLINE|CRASHED|THREW)$/,
    'const a = []\nfor (;;) { const b = new ArrayBuffer(1, { maxByteLength: 2 ** 30 }); b.resize(2 ** 30); new Uint8Array(b).fill(1); a.push(b) }',
  ],
  'a string that aborts the process': [
    /^ERR_LOAD_(CRASHED|MEMORY|DEADLINE)$/,
    "'x'.repeat(2 ** 28).split('')",
  ],
  'a top level that throws an error': [/^ERR_LOAD_THREW$/, "\n\nthrow new TypeError('boo')"],
  'a top level that throws a string': [/^ERR_LOAD_THREW$/, "throw 'boo'"],
  'a top level that throws an object': [/^ERR_LOAD_THREW$/, 'throw { a: 1 }'],
  'a top level that rejects': [/^ERR_LOAD_THREW$/, "await Promise.reject(new Error('nope'))"],
  'a top level that never settles': [
    /^ERR_LOAD_DEADLINE$/,
    "await new Promise(() => {})\nexport default { metadata: { name: 'a' } }",
  ],
  'a top level that never settles, in the form of esbuild': [
    /^ERR_LOAD_DEADLINE$/,
    "await new Promise(() => {})\nvar a = { metadata: { name: 'a' } }\nexport { a as default }",
  ],
  'no default export': [/^ERR_NO_DEFAULT_EXPORT$/, 'export const a = 1'],
  'a default export that is a function': [/^ERR_NO_DEFAULT_EXPORT$/, 'export default () => 1'],
  'no metadata': [/^ERR_METADATA_INVALID$/, 'export default { processRecord() {} }'],
  'metadata that is a string': [/^ERR_METADATA_INVALID$/, "export default { metadata: 'a' }"],
  'metadata that becomes nothing in JSON': [
    /^ERR_METADATA_INVALID$/,
    'export default { metadata: { toJSON() {} } }',
  ],
  'metadata that is circular': [
    /^ERR_LOAD_THREW$/,
    'const metadata = {}\nmetadata.a = metadata\nexport default { metadata }',
  ],
  'huge metadata': [/^ERR_METADATA_INVALID$/, "export default { metadata: { name: 'x'.repeat(1e6) } }"],
  'metadata that explodes in JSON': [
    /^ERR_LOAD_(THREW|MEMORY|CRASHED|DEADLINE)$/,
    "let a = ['x'.repeat(1000)]\nfor (let i = 0; i < 30; i++) a = [a, a]\nexport default { metadata: { a } }",
  ],
  'a source map that is none': [
    /^ERR_SOURCE_MAP_INVALID$/,
    "export default { metadata: { name: 'a' } }//map",
  ],
}

test('Prober refuses hostile bundles and continues', { concurrency: 3 }, async (t) => {
  const tests = Object.entries(hostile).map(([name, [code, text]]) =>
    t.test(name, async () => {
      const error = await refusal(bundle(text, text.endsWith('//map') ? '{"version":"none"' : ''))
      assert.match(error.code, code, error.message)
      assert.doesNotMatch(error.message, /\/(tmp|home|usr|root)\//, 'no path of the host is told')
    }),
  )
  await Promise.all(tests)
  const probed = await bundle("export default { metadata: { name: 'after' } }")
  assert.deepEqual(probed.metadata, { name: 'after' })
})

test('Prober does not treat thenables as promises', async () => {
  const probed = await bundle(
    "export function then() {}\nexport default { then() {}, metadata: { name: 'a', then: 1 } }",
  )
  assert.equal(JSON.stringify(probed.metadata), '{"name":"a","then":1}')
})

test('Prober survives a source that takes the compiler down', async () => {
  const error = await refusal(source(`export default ${'('.repeat(3e6)}`))
  assert.match(error.code, /^ERR_LOAD_(MEMORY|CRASHED|DEADLINE)$/)
  const probed = await source("export default { metadata: { name: 'after' } }")
  assert.deepEqual(probed.metadata, { name: 'after' })
})

test('Prober refuses uploads beyond its limit, and close ends the running ones', async () => {
  const own = new Prober(systemClock)
  const upload = { kind: 'bundle', file: 'b', code: Buffer.from('for (;;) {}'), sourceMap: none } as const
  const results = Array.from({ length: 5 }, () => refusal(own.probe(upload)))
  assert.equal((await results[4]!).code, 'ERR_BUSY')
  await own.close()
  for (const result of results.slice(0, 4)) assert.equal((await result).code, 'ERR_CLOSING')
})

/** The processes that this one has started and that have not ended. */
function children(): string[] {
  return readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').split(' ').filter(Boolean)
}

test('Prober has no child before an upload is expected, then one that is ready, until none was expected for long (R3)', {
  timeout: 60_000,
}, async (t) => {
  const others = children()
  const own = () => children().filter((pid) => !others.includes(pid))
  const clock = new ManualClock()
  const lazy = new Prober(clock)
  t.after(() => lazy.close())
  assert.deepEqual(own(), [])
  lazy.expect()
  const [first, ...more] = own()
  assert.deepEqual([typeof first, more], ['string', []])
  lazy.expect()
  assert.deepEqual(own(), [first], 'the same')
  const code = Buffer.from("export default { metadata: { name: 'a' } }")
  await lazy.probe({ kind: 'bundle', file: 'b', code, sourceMap: none })
  const [next, ...rest] = own()
  assert.deepEqual([next === first, rest], [false, []], 'a new one for the next')
  clock.advance(readyMs - 1)
  lazy.expect()
  clock.advance(readyMs - 1)
  lazy.expect()
  assert.deepEqual(own(), [next], 'none was started in the place of one that was ended')
  clock.advance(readyMs)
  while (own().length > 0) await setImmediate() // killed, and not yet seen to have ended
  lazy.expect()
  assert.equal(own().length, 1)
  await lazy.close()
  assert.deepEqual(own(), [])
})
