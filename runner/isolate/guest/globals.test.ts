import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isolateScript } from '../../../sdk/built.mjs'
import { isolateGlobals, namesIn } from '../../../sdk/isolate-globals.ts'
import { fn, frameOfTexts, nowMs, start, texts } from '../testing/harness.ts'

/** All of V8's own but what lockdown.ts takes out, and what install.ts puts in. */
const globals = `AggregateError Array ArrayBuffer AsyncDisposableStack BigInt BigInt64Array BigUint64Array Boolean
  DOMException DataView Date DisposableStack Error EvalError Float16Array Float32Array Float64Array Function Infinity Int16Array
  Int32Array Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set
  String SuppressedError Symbol SyntaxError TextDecoder TextEncoder TypeError URIError URL URLSearchParams Uint16Array
  Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakSet atob btoa clearTimeout console crypto decodeURI decodeURIComponent
  encodeURI encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt performance queueMicrotask setTimeout
  structuredClone undefined unescape`

/** Evaluates expressions inside an isolate, each to a string. */
async function evaluate(...expressions: readonly string[]): Promise<string[]> {
  const body = expressions
    .map((e) => `try { out(${e}) } catch (e) { out(e.name + ': ' + e.message) }`)
    .join('\n')
  const { instance } = await start(fn(`const out = (v) => ctx.produceRecord('out', '', String(v))\n${body}`))
  const result = await instance.run([frameOfTexts('x')], nowMs + 5)
  await instance.destroy()
  if (result.fatal) throw result.fatal
  return texts(result)
}

test('an isolate has exactly the globals listed here', async () => {
  const [names] = await evaluate('Object.getOwnPropertyNames(globalThis).sort().join(" ")')
  assert.equal(names, globals.split(/\s+/).toSorted().join(' '))
})

test('isolateGlobals, by which the command line warns of what is absent, names those of an isolate', async () => {
  const [names] = await evaluate(`(${namesIn})(globalThis).sort().join(" ")`)
  const derived = isolateGlobals(await isolateScript('probe-globals.js'))
  const ofV8 = 'Intl.v8BreakIterator' // Node takes it out of each of its realms
  assert.deepEqual(
    derived.toSorted(),
    names!.split(' ').filter((name) => name !== ofV8),
  )
})

test('globals lead to no memory that no limit counts', async () => {
  assert.deepEqual(
    await evaluate(
      'new ArrayBuffer(8, { maxByteLength: 1 << 30 }).resizable',
      'new Uint8Array(8).buffer.constructor === ArrayBuffer',
      'new (new ArrayBuffer(8).constructor)(8, { maxByteLength: 64 }).resizable',
      'Reflect.construct(ArrayBuffer, [8, { maxByteLength: 64 }]).resizable',
      'new (class extends ArrayBuffer {})(8, { maxByteLength: 64 }).resizable',
      'new ArrayBuffer(8).slice(0).constructor === ArrayBuffer',
      'new ArrayBuffer(8) instanceof ArrayBuffer && ArrayBuffer.isView(new DataView(new ArrayBuffer(1)))',
      'typeof ArrayBuffer.prototype.resize',
      'record.value.buffer.constructor.name',
      'typeof (async () => {}).constructor("return typeof WebAssembly + typeof SharedArrayBuffer + typeof Atomics")',
      'new Function("return typeof WebAssembly + typeof SharedArrayBuffer + typeof Atomics + typeof process + typeof require")()',
    ),
    [
      'false',
      'true',
      'false',
      'false',
      'false',
      'true',
      'true',
      'undefined',
      'ArrayBuffer',
      'function',
      'undefinedundefinedundefinedundefinedundefined',
    ],
  )
})

test('globals get time and random numbers only from the seam (I6)', async () => {
  const expressions = [
    'Date.now()',
    'new Date().getTime()',
    'new (new Date().constructor)().getTime()',
    'Date().slice(0, 15)',
    'new Date(5).getTime() + new Date(2020, 0).getMonth() + Date.UTC(1970, 0)',
    'class D extends Date {}, new D() instanceof Date && new D() instanceof D',
    'ctx.nowMs() - performance.timeOrigin + performance.now()',
    'new Intl.DateTimeFormat("en", { timeZone: "UTC", year: "numeric" }).format()',
    'new Intl.DateTimeFormat("en", { timeZone: "UTC", year: "numeric" }).formatToParts()[0].value',
    'Date.name + Date.length + String(Object.keys(Date))',
    '[Math.random(), Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint8Array(4))].join()',
  ]
  const first = await evaluate(
    ...expressions.map((e) => (e.startsWith('class') ? `(() => { ${e.replace(',', '; return')} })()` : e)),
  )
  assert.deepEqual(
    first.slice(0, -1),
    [
      String(nowMs + 5),
      String(nowMs + 5),
      String(nowMs + 5),
      new Date(nowMs + 5).toString().slice(0, 15),
      '5',
      'true',
      '10',
      '2026',
      '2026',
      'Date7',
      first.at(-2)!.slice(0, 0) + first.at(-2)!,
    ].slice(0, first.length - 1),
  )
  const again = await evaluate(
    ...expressions.map((e) => (e.startsWith('class') ? `(() => { ${e.replace(',', '; return')} })()` : e)),
  )
  assert.deepEqual(again, first, 'the same seed gives the same run')
})

test('globals of the web work together', async () => {
  assert.deepEqual(
    await evaluate(
      'new URL("../x?q=1#f", "https://a.example/b/c").href',
      'new TextDecoder().decode(new TextEncoder().encode("grüße 🙂"))',
      'atob(btoa("abc"))',
      'structuredClone(new Map([[1, { a: [1n] }]])).get(1).a[0]',
      'crypto.randomUUID().length',
      'import("node:fs").then(() => 1, () => 2) instanceof Promise',
    ),
    ['https://a.example/x?q=1#f', 'grüße 🙂', 'abc', '1', '36', 'true'],
  )
})

test('setTimeout works while a callback runs or waits, and nowhere else', async () => {
  await assert.rejects(
    start(`setTimeout(() => {}, 1)\nexport default {}`),
    /Cannot set a timeout outside of a callback/,
  )
  const source = fn(`
    return (async () => {
      const seen = []
      const id = setTimeout(() => seen.push('cleared'), 1)
      clearTimeout(id)
      setTimeout((...args) => seen.push(...args), 2, 'b', 'c')
      setTimeout(() => { seen.push('a'); queueMicrotask(() => seen.push('micro')) }, 1)
      setTimeout(() => { throw new Error('in a timeout') }, 1)
      const before = Date.now()
      await new Promise((resolve) => setTimeout(resolve, 3))
      ctx.produceRecord('out', '', seen.join() + (Date.now() > before))
    })()`)
  const { instance, lines } = await start(source)
  const at = Date.now()
  assert.equal((await instance.run([frameOfTexts('x')], at)).pending, true)
  assert.deepEqual(texts(await instance.resume()), ['a,micro,b,ctrue'])
  assert.match(lines[0]!.message, /Uncaught in setTimeout: .*in a timeout/)
  await instance.destroy()
})

test('formats of Intl, and texts by locale, are those of Node, however they are made', async () => {
  const dates = ['toLocaleString', 'toLocaleDateString', 'toLocaleTimeString'].flatMap((method) =>
    [
      '',
      "'de'",
      "'de'",
      "'en-US'",
      "['ja', 'de']",
      "new Intl.Locale('fr-CH')",
      "'de', {}",
      "'de', { timeZone: 'Asia/Kolkata' }",
      "'de', { hour: 'numeric', timeZone: 'Pacific/Apia' }",
      "'en', { weekday: 'long' }",
      "'en', { year: '2-digit', minute: '2-digit' }",
      "'en', { dayPeriod: 'long' }",
      "'en', { fractionalSecondDigits: 2 }",
      "'en', { timeZoneName: 'short' }",
      "'en', { era: 'short', hourCycle: 'h23' }",
      "'de', { dateStyle: 'full' }",
      "'de', { timeStyle: 'short' }",
      "'de', { dateStyle: 'full', timeStyle: 'short' }",
      "'de', { dateStyle: 'full', hour: 'numeric' }",
      "'de', Object.create({ month: 'long' })",
      "'de', 'text'",
      "'de', null",
      'null',
      "'no locale'",
      "undefined, { month: 'nothing' }",
    ].map((args) => `new Date(1e12).${method}(${args})`),
  )
  const expressions = [
    ...dates,
    ...['toLocaleString', 'toLocaleDateString'].map((method) => `new Date(NaN).${method}('de')`),
    ...[
      '',
      "'de'",
      "'de'",
      "'en', { style: 'percent' }",
      "'de', { style: 'currency', currency: 'CHF' }",
      "'de', null",
      "'x_'",
    ].flatMap((args) => [`(1234.5).toLocaleString(${args})`, `12345n.toLocaleString(${args})`]),
    "['ä'.localeCompare('z'), 'ä'.localeCompare('z', 'sv'), 'a'.localeCompare('A', 'de', { sensitivity: 'base' }), 'a10'.localeCompare('a9', undefined, { numeric: true })]",
    "String.prototype.localeCompare.call(5, '6', 'de', {})",
    "['b', 1234.5, new Date(0)].toLocaleString('de', { timeZone: 'UTC' })",
    "Intl.DateTimeFormat('de', { timeZone: 'UTC' }).format(0)",
    "Intl.NumberFormat('de').format(1234.5)",
    'Intl.DateTimeFormat.name + Intl.DateTimeFormat.length + Object.keys(Intl).length',
    'Intl.PluralRules("en")',
    'new Intl.NumberFormat("x_")',
    'new Intl.NumberFormat("de").constructor === Intl.NumberFormat && new Intl.NumberFormat() instanceof Intl.NumberFormat',
    "Intl.NumberFormat.call(Object.create(Intl.NumberFormat.prototype), 'de') instanceof Intl.NumberFormat",
    "new (class Hours extends Intl.DateTimeFormat { get hours() { return this.format(0) } })('de', { hour: 'numeric', timeZone: 'UTC' }).hours",
    "[...new Intl.Segmenter('en', { granularity: 'word' }).segment('a b')].length",
    "new Intl.RelativeTimeFormat('en').format(-3, 'day')",
    "new Intl.ListFormat('en').format(['a', 'b'])",
    "new Intl.DisplayNames('en', { type: 'region' }).of('CH')",
    "new Intl.Locale('de-CH').maximize()",
    "new Intl.DurationFormat('en').format({ hours: 1 })",
    "[Date.prototype.toLocaleString, Number.prototype.toLocaleString, String.prototype.localeCompare].map((f) => f.name + f.length + Object.hasOwn(f, 'prototype'))",
    "Object.keys(new Intl.NumberFormat('de')).length + Reflect.ownKeys(new Intl.NumberFormat('de')).length",
  ]
  const here = expressions.map((expression) => {
    try {
      return String(new Function(`return ${expression.replace(/^class/, '(class')}`)())
    } catch (error) {
      return `${(error as Error).name}: ${(error as Error).message}`
    }
  })
  /** V8 words an error by what was called. */
  const named = (text: string): string => text.replace(/^(\w*Error): .*/, '$1')
  assert.deepEqual((await evaluate(...expressions)).map(named), here.map(named))
})

test('Intl formats that are made for each record, and what makes them within V8, do not fill the process', async (t) => {
  const made: Record<string, string> = {
    DateTimeFormat: `new Intl.DateTimeFormat('en', { timeZone: 'Asia/Kolkata', hour: 'numeric' }).format(i)`,
    toLocaleString: `new Date(i).toLocaleString('de-CH', { timeZone: 'Asia/Kolkata' })`,
    toLocaleTimeString: `new Date(i).toLocaleTimeString(i % 2 ? 'en' : 'de')`,
  }
  for (const [what, expression] of Object.entries(made)) {
    const { instance } = await start(fn(`for (let i = 0; i < 200; i++) ${expression}`))
    t.after(() => instance.destroy()) // not before: what it gives back would be reused
    const before = process.memoryUsage.rss()
    for (let batch = 0; batch < 25; batch++) await instance.run([frameOfTexts('x')], nowMs)
    const grownMib = Math.round((process.memoryUsage.rss() - before) / 2 ** 20)
    assert.ok(grownMib < 100, `${what}: ${grownMib} MiB more; without a collection it would be 150`)
  }
})
