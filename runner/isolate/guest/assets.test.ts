import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transformSync } from 'esbuild'
import type { FunctionDefinition } from '../../../sdk/index.ts'
import { replay, runtimeText } from '../../../sdk/replay/index.ts'
import { testKit } from '../../../sdk/testkit/index.ts'
import type { HeldAssets } from '../index.ts'
import { bundleOf, fn, frameOfTexts, nowMs, start, texts } from '../testing/harness.ts'

function held(contents: Readonly<Record<string, Uint8Array | SharedArrayBuffer>>): HeldAssets {
  return new Map(
    Object.entries(contents).map(([name, content]) => {
      if (content instanceof SharedArrayBuffer) return [name, { sha256: name, memory: content }]
      const memory = new SharedArrayBuffer(content.length)
      new Uint8Array(memory).set(content)
      return [name, { sha256: name, memory }]
    }),
  )
}

const utf8 = new TextEncoder()
const words = utf8.encode('{"grüße": [1, 2]}')

const reads = fn(
  `const words = ctx.asset('words.json')
  const floats = new Float32Array(ctx.asset('model').buffer)
  const out = [words.length, words.text(), words.json().grüße[1], floats[1], words === ctx.asset('words.json'), loaded, Object.keys(words).length]
  ctx.produceRecord('out', '', JSON.stringify(out))`,
  `//top
let loaded
`,
).replace('  processRecord', "  init(ctx) { loaded = ctx.asset('model').length },\n  processRecord")
const expected = JSON.stringify([words.length, '{"grüße": [1, 2]}', 2, 2.5, true, 8, words.length])

test('an asset can be read as bytes, text and JSON, in init and in callbacks, in an isolate and in the test kit', async (t) => {
  const model = new Uint8Array(Float32Array.of(1.5, 2.5).buffer)
  const { instance } = await start(reads, { assets: held({ 'words.json': words, model }) })
  t.after(() => instance.destroy())
  const result = await instance.run([frameOfTexts('a')], nowMs)
  assert.deepEqual(texts(result), [expected])

  const { bundle } = bundleOf(reads)
  const module = (await import(`data:text/javascript,${encodeURIComponent(bundle)}`)) as {
    default: FunctionDefinition
  }
  const kit = testKit(module.default, { assets: { 'words.json': '{"grüße": [1, 2]}', model } })
  kit.send('in', 'k', 'a')
  assert.deepEqual(
    kit.outputs().map((output) => output.text()),
    [expected],
  )
  assert.throws(() => testKit(module.default), { code: 'ERR_ASSET_MISSING' })
})

test('an asset that the version lacks is reported at init, with what to do', async () => {
  const source = fn('', "init(ctx) { ctx.asset('model.bin') },")
  await assert.rejects(start(source, { assets: held({ other: words }) }), {
    code: 'ERR_INIT_FAILED',
    message:
      /v\d+ of 'fn' lacks asset 'model\.bin' \(it has 'other'; `concord asset push fn model\.bin` adds it\), which it reads at \S+:\d+:\d+/,
  })
  await assert.rejects(start(source), { code: 'ERR_INIT_FAILED', message: /it has none/ })
})

test('every instance sees an asset larger than its heap without a copy, and it does not count as heap', async (t) => {
  const memory = new SharedArrayBuffer(200_000_000)
  new Uint8Array(memory)[199_999_999] = 7
  const source = fn("ctx.produceRecord('out', '', String(ctx.asset('big')[199_999_999]))")
  const both = held({ big: memory, same: memory })
  const before = process.memoryUsage.rss()
  for (let i = 0; i < 4; i++) {
    const { instance } = await start(source, {
      assets: both,
      manifest: { limits: { heapMib: 16, stateMib: 1 } },
    })
    t.after(() => instance.destroy())
    assert.deepEqual(texts(await instance.run([frameOfTexts('a')], nowMs)), ['7'])
    assert.ok(instance.stats().heapBytes < 16 * 2 ** 20, String(instance.stats().heapBytes))
  }
  const grown = process.memoryUsage.rss() - before
  assert.ok(grown < 150_000_000, `four instances took ${grown} bytes beside the asset`)
})

test("an asset's memory gives access to no constructor and cannot grow, in an isolate", async (t) => {
  const source = fn(
    `const { buffer } = ctx.asset('a')
    const proto = Object.getPrototypeOf(buffer)
    const found = [Object.prototype.toString.call(buffer), Reflect.ownKeys(proto).map(String).sort().join(), proto.constructor === Object,
      typeof SharedArrayBuffer, ctx.asset('a').slice().buffer instanceof ArrayBuffer, ctx.asset('a').subarray(1).length]
    ctx.produceRecord('out', '', JSON.stringify(found))`,
  )
  const { instance } = await start(source, { assets: held({ a: words }) })
  t.after(() => instance.destroy())
  assert.deepEqual(JSON.parse(texts(await instance.run([frameOfTexts('a')], nowMs))[0]!), [
    '[object SharedArrayBuffer]',
    'Symbol(Symbol.toStringTag),byteLength',
    true,
    'undefined',
    true,
    words.length - 1,
  ])
})

test('a tap names the assets that the function had, and is replayed with them', async (t) => {
  const { instance } = await start(fn("ctx.produceRecord('out', '', ctx.asset('words').text())"), {
    assets: held({ words }),
    tapBytes: 64 * 1024,
  })
  t.after(() => instance.destroy())
  await instance.run([frameOfTexts('a')], nowMs)
  const { chapters, bundle } = instance.tapped()
  const definition = transformSync(bundle, { format: 'iife', globalName: 'fn', target: 'es2024' }).code
  const options = { runtime: runtimeText(), definition: `${definition};fn.default` }
  const chapter = chapters[0]!
  assert.deepEqual(chapter.boot.assets, { words: 'words' })
  const { calls, same } = await replay(chapter, { ...options, assets: new Map([['words', words]]) })
  assert.deepEqual(
    [same, calls.flatMap(({ outputs }) => outputs.map(({ value }) => new TextDecoder().decode(value)))],
    [true, ['{"grüße": [1, 2]}']],
  )
  await assert.rejects(replay(chapter, options), /the function had asset 'words'/)
})
