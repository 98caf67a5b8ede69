import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from 'esbuild'
import { keepConstants, type MappedCode } from './keep-constants.ts'

/** Bundles as a deploy does, from `index`; other modules are imported by their names. */
async function bundle(modules: Readonly<Record<string, string>>): Promise<MappedCode> {
  const { outputFiles } = await build({
    ...{ entryPoints: ['index'], outfile: 'out.js', bundle: true, write: false, format: 'esm' },
    ...{ target: 'es2024', sourcemap: 'external', minifyWhitespace: true, logLevel: 'silent' },
    plugins: [
      {
        name: 'modules',
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /.*/ }, ({ path }) => ({ path, namespace: 'modules' }))
          onLoad({ filter: /.*/, namespace: 'modules' }, ({ path }) => ({
            contents: modules[path]!,
            loader: 'ts',
          }))
        },
      },
    ],
  })
  const text = (suffix: string) => outputFiles.find(({ path }) => path.endsWith(suffix))!.text
  return { code: text('.js'), sourceMap: text('.map') }
}

async function load(code: string): Promise<unknown> {
  const { default: exported } = await import(`data:text/javascript,${encodeURIComponent(code)}`)
  return exported
}

const model = `export const weights: Float64Array = Float64Array.of(1, 2)
const { log, max: most } = Math, half = 0.5
export const enum Kind { One = 1 }
export enum Other { Two = 2 }
export let count = 0
export var old = 3
export class Model {}
export function inc(): number { return ++count + most(old, half) + log(1) + Object.keys(Kind).length + Object.keys(Other).length }`

test('keepConstants makes let of what was const in the sources, where it stands, and of nothing else', async () => {
  const before = await bundle({
    index: `import { weights, inc, Model, count } from 'model'
import late from 'late'
const word = 'as var a = 1 or const'
export default () => [weights[1], inc(), count, new Model() instanceof Model, word, late.x]`,
    model,
    late: '"use strict"; const x = 7; module.exports = { x }',
  })
  const code = keepConstants(before)
  for (const name of [' weights', '{log', ' half', ' word', ' x']) {
    assert.equal(code.indexOf(`let${name}`), before.code.indexOf(`var${name}`), name)
    assert.ok(code.includes(`let${name}`), name)
  }
  for (const name of ['count', 'old', 'Model', 'Kind', 'Other', 'require_late'])
    assert.match(code, new RegExp(`var ${name}\\b`))
  assert.equal(code.length, before.code.length)
  const [exported, exportedBefore] = (await Promise.all([code, before.code].map(load))) as (() => unknown)[]
  assert.deepEqual(exported!(), exportedBefore!())
})

test('keepConstants lets modules that begin when they are asked for be, and those that a using stands in', async () => {
  const lazy = await bundle({
    index: `const { a } = require('lazy'); const b = 2; export default a + b`,
    lazy: 'export const a = 1',
  })
  assert.equal(await load(keepConstants(lazy)), 3)
  const using = await bundle({
    index: `using held = { [Symbol.dispose]() {} }
const a = 1
export default function () { return a + (held === undefined ? 1 : 0) }`,
  })
  assert.equal(keepConstants(using), using.code)
})

test('keepConstants keeps what modules that import each other can see of each other', async () => {
  const round = await bundle({
    index: `import { odd } from 'odd'
export const even = (n: number): boolean => n === 0 || odd(n - 1)
export default [even(4), odd(4)]`,
    odd: `import { even } from 'index'; export const odd = (n: number): boolean => n !== 0 && even(n - 1)`,
  })
  assert.deepEqual(await load(keepConstants(round)), [true, false])
  const early = await bundle({
    index: `import { half } from 'half'; export const whole = 2; export default half`,
    half: `import { whole } from 'index'; export const half = whole / 2`,
  })
  await assert.rejects(load(keepConstants(early)), ReferenceError) // KC2
})
