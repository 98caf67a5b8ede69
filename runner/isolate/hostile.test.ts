import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fn, frame, frameOfTexts, nowMs, record, start, texts } from './testing/harness.ts'

/**
 * Replaces every built-in function of the realm by one that looks at its receiver, arguments and result, and calls the
 * old one. What it is looking for: shared memory, a view of it, an object of isolated-vm, a path of the host.
 */
const spy = `//top
const found = new Set()
const intrinsics = new WeakSet()
const Seen = WeakSet
let seen
const { getPrototypeOf, getOwnPropertyDescriptors, prototype: { toString, hasOwnProperty: hasOwn } } = Object
const { apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty } = Reflect
const define = (object, name, descriptor) => defineProperty(object, name, { __proto__: null, configurable: true, ...descriptor })
const own = (value) => ({ __proto__: null, value, writable: true, enumerable: true })
const isView = ArrayBuffer.isView
const bufferOf = getOwnPropertyDescriptor(getPrototypeOf(Uint8Array.prototype), 'buffer').get
const has = WeakSet.prototype.has, add = WeakSet.prototype.add, addFound = Set.prototype.add
const test = RegExp.prototype.test
let busy = false
function look(value, depth) {
  if (typeof value === 'string') { if (apply(test, /file:|isolate-main|node_modules/, [value])) apply(addFound, found, ['path ' + value]); return }
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || depth > 4) return
  const tag = apply(toString, value, [])
  if (tag === '[object SharedArrayBuffer]') { apply(addFound, found, ['shared memory']); return }
  if (isView(value)) { try { look(apply(bufferOf, value, []), depth + 1) } catch {} ; return }
  if (apply(test, /^(Reference|Dereference|Isolate|Callback|ExternalCopy|Copy|Context|Script|Module)$/, [value.constructor?.name ?? ''])) apply(addFound, found, ['ivm ' + value.constructor.name])
  if (apply(has, intrinsics, [value]) || apply(has, seen, [value])) return
  apply(add, seen, [value])
  const names = ownKeys(value), count = names.length
  for (let i = 0; i < count; i++) {
    const d = getOwnPropertyDescriptor(value, names[i])
    if (d) { if (apply(hasOwn, d, ['value'])) look(d.value, depth + 1); else if (d.get) { try { look(apply(d.get, value, []), depth + 1) } catch {} } }
  }
  look(getPrototypeOf(value), depth + 1)
}
function watch(values) {
  if (busy) return
  busy = true
  seen = new Seen()
  try { for (let i = 0; i < values.length; i++) look(values[i], 0) } finally { busy = false }
}
function wrap(f) {
  return new Proxy(f, {
    apply(t, self, args) { watch([self]); watch(args); const r = apply(t, self, args); watch([r]); return r },
    construct(t, args, n) { watch(args); const r = construct(t, args, n); watch([r]); return r },
  })
}
function replace(object, done = new Set()) {
  if (done.has(object)) return
  done.add(object)
  apply(add, intrinsics, [object])
  for (const name of ownKeys(object)) {
    const d = getOwnPropertyDescriptor(object, name)
    if (!d || !d.configurable) { if (d && d.writable && typeof d.value === 'function') try { object[name] = wrap(d.value) } catch {} ; continue }
    try {
      if (typeof d.value === 'function') {
        if (name !== 'constructor') { if (d.value.prototype) replace(d.value.prototype, done); replace(d.value, done) }
        define(object, name, { ...d, value: wrap(d.value) })
      } else if (d.get) define(object, name, { ...d, get: wrap(d.get) })
      else if (typeof d.value === 'object' && d.value !== null) replace(d.value, done)
    } catch {}
  }
}
function armSpy() {
  replace(getPrototypeOf(Uint8Array)); replace(getPrototypeOf(Uint8Array.prototype))
  replace(getPrototypeOf([][Symbol.iterator]())); replace(getPrototypeOf(new Map().entries()))
  replace(globalThis)
  const names = ['buffer', 'words', 'bytes', 'memory', 'input', 'control', 'outcome', 'then', 'get', 'set', 'value', 'writer', 'controlWords']
  for (let i = 0; i < 64; i++) names[names.length] = String(i)
  for (let i = 0; i < names.length; i++) {
    const name = names[i]
    define(Object.prototype, name, {
      get() { watch([this]) },
      set(v) { watch([this, v]); define(this, name, own(v)) },
    })
  }
  Error.prepareStackTrace = (e, frames) => {
    for (const f of frames) { watch([f.getThis(), f.getFunction(), f.getFileName()]) }
    return 'stack'
  }
}
function findings() { return [...found] }
`

test('no patched built-in ever sees shared memory, an object of isolated-vm or a path of the host', async (t) => {
  const source = fn(
    `
    if (!globalThis.armed) { globalThis.armed = true; armSpy() }
    const text = record.text()
    if (text === 'ask') {
      const list = findings()
      ctx.produceRecord('out', '', list.length === 0 ? 'clean' : 'found ' + list[0])
      return
    }
    watch([ctx, record, ctx.constructor, record.constructor, globalThis, ctx.env, ctx.args])
    ctx.setState(record.key, record.value)
    ctx.setState('text', text)
    ctx.setJson('json', { a: [1] })
    watch([ctx.getState(record.key), ctx.getJson('json'), record.copy(), ctx.metrics])
    ctx.metrics.count('seen'); ctx.metrics.observe('length', text.length)
    ctx.setTimer(text, ctx.nowMs() - 1)
    ctx.setTimer('later ' + text, ctx.nowMs() + 1)
    ctx.deleteTimer('later ' + text, ctx.nowMs() + 1)
    ctx.setState('soon ' + text, text, { ttlMs: 1 })
    ctx.setState('much ' + text, new Uint8Array(100_000))
    const helpers = [ctx.counter('c'), ctx.value('json'), ctx.list('l', { max: 2 }), ctx.windows('w', { size: 4, every: 2 }), ctx.keys(), ctx.keyTexts('counter')]
    watch(helpers)
    helpers[0].add(); helpers[1].set(text); helpers[2].push(text); helpers[3].add(5); helpers[3].close(2)
    for (const list of [helpers[4], helpers[5]]) for (let n = list.next(); !n.done; n = list.next()) watch([n.value, list])
    watch([helpers[2].items(), helpers[2].shift(), helpers[2].at(0)])
    ctx.produceRecord('out', record.key, 'x'.repeat(200))
    ctx.produceRecord('out', new Uint8Array(100), new Uint8Array(100))
    console.log('line', { a: 1 })
    if (text === 'throw') throw new Error('on purpose')
    if (text === 'later') return new Promise((resolve) => setTimeout(resolve, 1))`,
    spy,
  ).replace(
    'processRecord(',
    'processTimer(ctx, key) { watch([ctx]); if (key === "throw") throw new Error("timer") },\n  processRecord(',
  )
  const { instance, lines } = await start(source, { manifest: { onError: 'skip' } })
  t.after(() => instance.kill())
  for (let round = 0; round < 4; round++) {
    // Another partition, and more state than a batch may bring: slabs are handed in while the spy looks.
    const texts = ['a', 'throw', 'later', 'grüße']
    for (let done = 0, given = 0; done < texts.length && given < 20; given++) {
      const rest = frame(
        texts.map((text) => record(text)),
        round >> 1,
      )
      let result = await instance.run([{ ...rest, skip: done }], Date.now())
      done += result.records
      while (result.pending) {
        result = await instance.resume()
        done += result.records
      }
      assert.equal(result.fatal, undefined, JSON.stringify(lines))
      assert.deepEqual(
        result.failures.filter(({ error }) => !['on purpose', 'timer'].includes(error.message)),
        [],
      )
    }
    instance.setOutputs({ out: { partitions: 4 + round, keyed: round % 2 === 0 } })
  }
  const result = await instance.run([frameOfTexts('ask')], Date.now())
  assert.ok(texts(result).includes('clean'), texts(result).join())
})

test('the spy of that test finds planted leaks', async (t) => {
  const source = fn(
    `armSpy(); JSON.stringify({ deep: { path: 'file:///somewhere' } }); ctx.produceRecord('out', '', findings().join())`,
    spy,
  )
  const { instance } = await start(source)
  t.after(() => instance.kill())
  assert.match(texts(await instance.run([frameOfTexts('x')], nowMs)).join(), /path file:/)
})

test('an isolate whose built-ins were removed ends as a failure of the function, not of the runner', async () => {
  for (const body of [
    `delete Array.prototype[Symbol.iterator]; Map.prototype.values = null; Map.prototype.get = () => { throw 1 }`,
    `Object.defineProperty(Object.prototype, 'toJSON', { value() { return { toString() { for (;;); } } } }); throw new Error('x')`,
    `Array.prototype.push = Array.prototype.join = null; String.prototype.slice = null; throw new Error('x')`,
    `Object.prototype.then = function () { throw 1 }; return {}`,
    `structuredClone(record.value.buffer, { transfer: [record.value.buffer] })`,
    `record.value.fill(255)`,
    `new Uint8Array(record.value.buffer).fill(255)`,
    `new Uint8Array(record.value.buffer).fill(0)`,
    `Uint8Array.prototype.__proto__ = null`,
    `globalThis.Uint8Array = globalThis.Map = globalThis.Int32Array = undefined`,
    `Promise.prototype.then = null; Promise.prototype.constructor = null; return (async () => {})()`,
    `let deep = () => { try { deep() } catch { ctx.produceRecord('out', '', 'x'); ctx.setState('a', 'b') } }; deep()`,
  ]) {
    const { instance } = await start(fn(`${body}`), {
      manifest: { onError: 'skip', limits: { callbackMs: 200 } },
    })
    let fatal: string | undefined
    for (let i = 0; i < 3 && fatal === undefined; i++) {
      const result = await instance.run([frame([record('one'), record('two'), record('three')], 0)], nowMs)
      assert.ok(result.records <= 3, body)
      fatal = result.fatal?.code
    }
    assert.ok([undefined, 'ERR_FUNCTION_FAILED', 'ERR_DEADLINE'].includes(fatal), `${body}: ${fatal}`)
    instance.kill()
  }
})

test('any value may be thrown', async (t) => {
  const thrown = [
    'undefined',
    'null',
    '42n',
    'Symbol("s")',
    '"a string"',
    '{ toString() { throw 1 } }',
    'Object.create(null)',
    '{ message: 5, name: {}, stack: [] }',
    '{ message: "\\ud800\\u0000".repeat(1e5), stack: "\\u0001".repeat(1e6), name: "N".repeat(1e5) }',
    'new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 }, ownKeys() { throw 3 } })',
    'new Proxy(function () {}, { get: (t, k) => k + "!" })',
    '({ code: 5 })',
    'new AggregateError([1], "many")',
    '(function f() { f() })()',
  ]
  const source = fn(
    `switch (record.text()) { ${thrown.map((v, i) => `case '${i}': throw ${v}`).join('\n')} }`,
  )
  const { instance } = await start(source, { manifest: { onError: 'skip' } })
  t.after(() => instance.destroy())
  const result = await instance.run([frameOfTexts(...thrown.map((_, i) => String(i)))], nowMs)
  assert.equal(result.records, thrown.length)
  assert.equal(result.failures.length, thrown.length)
  for (const { error } of result.failures) {
    assert.ok(error.name.length <= 128 && error.message.length <= 2048 && error.stack.length <= 6144)
  }
  assert.deepEqual(
    result.failures.slice(0, 5).map(({ error }) => error.message),
    [
      'undefined was thrown: undefined',
      'null was thrown: null',
      'bigint was thrown: 42',
      'symbol was thrown: Symbol(s)',
      'string was thrown: a string',
    ],
  )
  assert.equal(result.failures.at(-3)!.error.message, 'object was thrown: {"code":5}')
  assert.match(result.failures.at(-1)!.error.message, /call stack/)
})

test('an own key __proto__ in what a function returns, throws, logs, keeps or puts out stays a key', async (t) => {
  const json = '{"__proto__":{"polluted":1}}'
  const source = fn(`
    const value = JSON.parse('${json}')
    console.log(value)
    if (record.text() === 'throw') throw value
    ctx.setJson('__proto__', value)
    ctx.produceRecord('out', '__proto__', JSON.stringify(ctx.getJson('__proto__')) + ({}).polluted)
    return value`)
  const { instance, lines } = await start(source, { manifest: { onError: 'skip' } })
  t.after(() => instance.destroy())
  const result = await instance.run([frameOfTexts('throw', 'x')], nowMs)
  assert.deepEqual([result.records, texts(result)], [2, [`${json}undefined`]])
  assert.equal(result.failures[0]?.error.message, `object was thrown: ${json}`)
  assert.equal(lines.length, 2)
  assert.ok(!('polluted' in {}) && !('polluted' in result.failures[0]!.error))
})

for (const [name, body] of Object.entries({
  objects: `const a = []; for (;;) a.push({})`,
  arrays: `const a = []; for (;;) a.push(new Array(1000).fill(1))`,
  strings: `let s = 'x'; for (;;) s += s + s.slice(1)`,
  state: `for (let i = 0; ; i++) ctx.setState('k' + i, new Uint8Array(1000))`,
  console: `for (;;) console.log('x'.repeat(10_000))`,
  'what cannot be interrupted': `Array(2 ** 32 - 1).fill(0)`,
  'numbers of a million digits': `for (let n = 3n; ; n *= n) String(n)`,
  'formatters, which lie beside the heap': `const a = []; for (;;) a.push(new Intl.DateTimeFormat('de', { month: 'long' }))`,
  'literals in eval': `for (const a = []; ; ) a.push(eval('[' + '{},'.repeat(1e6) + ']'))`,
  'nested JSON': `for (const a = []; ; ) a.push(JSON.parse('['.repeat(1e5) + ']'.repeat(1e5)))`,
  'views that are copied': `const a = []; for (;;) a.push(new Float64Array(1e5).map(Math.random))`,
  outputs: `for (;;) { try { ctx.produceRecord('out', 'k', 'x'.repeat(100_000)) } catch {} }`,
})) {
  test(`a bomb of ${name} is ended, and what was finished before it is kept`, async () => {
    const program = `
      import { fn, frameOfTexts, start, texts } from './runner/isolate/testing/harness.ts'
      const { instance } = await start(fn(\`if (record.text() === 'bomb') { ${body} } ctx.produceRecord('out', '', record.text())\`),
        { manifest: { onError: 'skip', limits: { heapMib: 16, callbackMs: 400 } } })
      const frame = frameOfTexts('1', '2', 'bomb')
      let result = await instance.run([frame], Date.now())
      const out = texts(result)
      let records = result.records
      while (records < 3 && result.fatal === undefined && result.failures.length === 0) {
        result = await instance.run([{ ...frame, skip: records }], Date.now()) // memory for its state is being added
        records += result.records
      }
      process.stdout.write(JSON.stringify({ records, out, code: result.fatal?.code, failed: result.failures.length }) + '\\n',
        () => process.kill(process.pid, 'SIGKILL'))`
    const child = spawn(process.execPath, ['--no-node-snapshot', '--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines: Buffer[] = []
    child.stdout.on('data', (data: Buffer) => lines.push(data))
    const deadline = setTimeout(() => child.kill('SIGKILL'), 120_000)
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    clearTimeout(deadline)
    const text = Buffer.concat(lines).toString()
    assert.notEqual(text, '', `ended with ${code ?? signal} and said nothing`)
    const said = JSON.parse(text) as { records: number; out: string[]; code?: string; failed: number }
    assert.deepEqual(said.out.slice(0, 2), ['1', '2'])
    if (said.code === undefined)
      assert.deepEqual([said.records, said.failed], [3, 1], 'a RangeError that the policy took')
    else assert.ok(['ERR_MEMORY', 'ERR_DEADLINE', 'ERR_ISOLATE_LOST'].includes(said.code), said.code)
  })
}

/** Runs a program in a process of its own, since it may not outlive it. @returns What it said last. */
async function runApart(program: string): Promise<Record<string, unknown>> {
  const child = spawn(process.execPath, ['--no-node-snapshot', '--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: Buffer[] = []
  child.stdout.on('data', (data: Buffer) => lines.push(data))
  const deadline = setTimeout(() => child.kill('SIGKILL'), 120_000)
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(deadline)
  const text = Buffer.concat(lines).toString()
  assert.notEqual(text, '', `ended with ${code ?? signal} and said nothing`)
  return JSON.parse(text) as Record<string, unknown>
}

for (const [name, body] of Object.entries({
  'a loop': 'for (;;);',
  'recursion that is caught': 'const f = () => { try { f() } finally { f() } }; f()',
  'a regular expression that backtracks': `/^(a+)+$/.test('a'.repeat(40) + 'b')`,
  'a flood of microtasks': `const next = () => Promise.resolve().then(next); return next()`,
  'a loop behind an await': `return (async () => { await null; for (;;); })()`,
  'a loop behind a timeout': `return (async () => { await new Promise((r) => setTimeout(r, 1)); for (;;); })()`,
  'a promise that nothing settles': 'return new Promise(() => {})',
  'a getter of what is thrown': 'throw { get message() { for (;;); } }',
  'a proxy that is thrown': 'throw new Proxy({}, { get() { for (;;); } })',
  'a hook of stack traces': 'Error.prepareStackTrace = () => { for (;;); }; throw new Error("x")',
  'a thenable': 'return { then() { for (;;); } }',
})) {
  test(`${name} without end exceeds the time limit: the error names the record, and what was finished before is kept`, async () => {
    const said = await runApart(`
      import { fn, frameOfTexts, start, texts } from './runner/isolate/testing/harness.ts'
      const { instance } = await start(fn(\`if (record.text() === 'hang') { ${body.replaceAll('\\', '\\\\')} } ctx.produceRecord('out', '', record.text())\`),
        { manifest: { onError: 'skip', limits: { callbackMs: 500, asyncMs: 1000 } } })
      let result = await instance.run([frameOfTexts('1', '2', 'hang', '4')], Date.now())
      const out = texts(result)
      let records = result.records
      while (result.pending) { result = await instance.resume(); records += result.records; out.push(...texts(result)) }
      process.stdout.write(JSON.stringify({ records, out, code: result.fatal?.code, message: result.fatal?.message, atHand: result.recordAtHand }) + '\\n',
        () => process.kill(process.pid, 'SIGKILL'))`)
    assert.deepEqual(
      [said['records'], said['out'], said['code'], said['atHand']],
      [2, ['1', '2'], 'ERR_DEADLINE', true],
    )
    assert.match(String(said['message']), /the record 2 of producer 0000000000000001 in 'in'\/0 \(key 'k'\)/)
    if (name === 'a loop') assert.match(String(said['message']), /; it was ended at fn\.ts:\d+:\d+/)
  })
}

for (const [name, thrown] of Object.entries({
  'a proxy': 'new Proxy({}, { get() { for (;;); }, getPrototypeOf() { for (;;); } })',
  'an error with a getter': `Object.defineProperty(new Error('x'), 'message', { get() { for (;;); } })`,
  'an error whose stack is a loop': '(Error.prepareStackTrace = () => { for (;;); }, new Error("x"))',
})) {
  test(`${name} that is thrown at the top of a bundle and never ends is stopped in time`, async () => {
    const said = await runApart(`
      import { start } from './runner/isolate/testing/harness.ts'
      const source = \`throw ${thrown}; export default {}\`
      const error = await start(source, { manifest: { limits: { initMs: 300 } } }).then(() => undefined, (e) => e)
      process.stdout.write(JSON.stringify({ code: error?.code, message: error?.message }) + '\\n',
        () => process.kill(process.pid, 'SIGKILL'))`)
    assert.ok(['ERR_DEADLINE', 'ERR_BUNDLE_LOAD'].includes(String(said['code'])), JSON.stringify(said))
  })
}
