import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from 'esbuild'
import { keepConstants, type MappedCode } from './keep-constants.ts'

/** Bundles as a deploy does, from `index`; other modules are imported by their names. */
async function bundle(modules: Readonly<Record<string, string>>): Promise<MappedCode> {
  const { outputFiles, metafile } = await build({
    metafile: true,
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
  return { code: text('.js'), sourceMap: text('.map'), inputs: new Set(Object.keys(metafile.inputs)) }
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

test('keepConstants makes let of exactly the variables that were const in the sources, at the same place', async () => {
  const before = await bundle({
    index: `import { weights, inc, Model, count } from 'model'
import late from 'late'
import * as begun from 'begun'
const word = 'as var a = 1 or const'
export default () => [weights[1], inc(), count, new Model() instanceof Model, word, late.x, Object.keys(begun)]`,
    model,
    begun: 'export const first = 1',
    late: '"use strict"; const x = 7; module.exports = { x }',
  })
  const code = keepConstants(before)
  for (const name of [' weights', '{log', ' half', ' word', ' x']) {
    assert.equal(code.indexOf(`let${name}`), before.code.indexOf(`var${name}`), name)
    assert.ok(code.includes(`let${name}`), name)
  }
  for (const name of ['count', 'old', 'Model', 'Kind', 'Other', 'require_late', 'begun_exports'])
    assert.match(code, new RegExp(`var ${name}\\b`))
  assert.equal(code.length, before.code.length)
  const [exported, exportedBefore] = (await Promise.all([code, before.code].map(load))) as (() => unknown)[]
  assert.deepEqual(exported!(), exportedBefore!())
})

test('keepConstants leaves lazily initialised modules and modules with `using` unchanged', async () => {
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

test('keepConstants preserves what modules in an import cycle see of each other', async () => {
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

test('keepConstants leaves a package unchanged that was compiled before and brings its source map (KC1)', async () => {
  const compiled = async (contents: string, sourcefile: string) => {
    const options = {
      bundle: true,
      write: false,
      format: 'esm',
      packages: 'external',
      sourcemap: 'inline',
    } as const
    const { outputFiles } = await build({
      ...options,
      external: ['shown', 'unit'],
      stdin: { contents, sourcefile, loader: 'ts' },
    })
    return outputFiles[0]!.text
  }
  const before = await bundle({
    index: `import { shown } from 'shown'; const own = 1; export default shown() + own`,
    shown: await compiled(`import { unit } from 'unit'; export const shown = () => 1 + unit`, 'shown.ts'),
    unit: await compiled(
      `import { shown } from 'shown'; export const unit = 2; export const early = shown`,
      'unit.ts',
    ),
  })
  assert.ok(before.sourceMap.includes('export const unit'), 'the map shows its source')
  const code = keepConstants(before)
  assert.equal(code, before.code.replace('var own', 'let own'))
  assert.equal(await load(code), 4)
})
