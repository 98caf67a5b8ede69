import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CodedError } from '../../sdk/errors.ts'
import type { RecordFailure } from './index.ts'
import { fn, frame, frameOfTexts, nowMs, record, recordsIn, start, texts } from './testing/harness.ts'

const echo = fn(`ctx.produceRecord('out', record.key, record.value)`)
const failOn = (what: string) => `
  const text = record.text()
  ctx.setState('last', text)
  ctx.produceRecord('out', record.key, text)
  ctx.setTimer(text, ctx.nowMs() + 1)
  if (text.startsWith('${what}')) throw new Error('no ' + text)`

test('SingleIsolate.run processes frames in order and answers frames by partition', async (t) => {
  const { instance } = await start(echo)
  t.after(() => instance.destroy())
  const a = frame([record('1', 'a'), record('2', 'b')], 0)
  const b = frame([record('3', 'a'), record('4', 'c')], 1)
  const result = await instance.run([a, b], nowMs)
  assert.equal(result.records, 4)
  assert.equal(result.recordsOut, 4)
  assert.equal(result.pending, false)
  assert.deepEqual(result.failures, [])
  const byKey = result
    .outputs()
    .flatMap((output) => recordsIn(output).map((r) => `${Buffer.from(r.key)}${Buffer.from(r.value)}`))
  assert.deepEqual(byKey.toSorted(), ['a1', 'a3', 'b2', 'c4'])
  assert.ok(byKey.indexOf('a1') < byKey.indexOf('a3'), 'the order of one key is kept (I2)')
})

test('SingleIsolate.run returns while the batch runs, and the outputs of the batch before can be read then or later (N4)', async (t) => {
  const { instance } = await start(echo)
  t.after(() => instance.destroy())
  const first = await instance.run([frameOfTexts('1', '2')], nowMs)
  const running = instance.run([frameOfTexts('3')], nowMs)
  await assert.rejects(instance.run([], nowMs), /a call is under way/)
  assert.deepEqual(texts(first), ['1', '2'])
  const second = await running
  const third = await instance.run([frameOfTexts('4')], nowMs)
  assert.deepEqual([second, third, first].map(texts), [['3'], ['4'], ['1', '2']])
})

test('SingleIsolate.run skips the records that it is told to skip, and takes as many frames as fit', async (t) => {
  const { instance } = await start(echo)
  t.after(() => instance.destroy())
  const skipped = { ...frameOfTexts('1', '2', '3'), skip: 2 }
  assert.deepEqual(texts(await instance.run([skipped], nowMs)), ['3'])
  const large = frame([record('x'.repeat(600_000))])
  const result = await instance.run([large, large], nowMs)
  assert.equal(result.records, 1, 'the second is to be given again')
})

test('SingleIsolate.run leaves no trace of a record that threw (I3), under every policy, and its counts add up', async (t) => {
  const input = frameOfTexts('a', 'bad 1', 'b', 'bad 2', 'c')
  for (const onError of ['skip', 'deadLetter'] as const) {
    const { instance } = await start(fn(failOn('bad'), 'processTimer() {},'), { manifest: { onError } })
    t.after(() => instance.destroy())
    const result = await instance.run([input], nowMs)
    assert.equal(result.records, 5)
    assert.deepEqual(texts(result), ['a', 'b', 'c'])
    assert.deepEqual(
      result.failures.map(({ index, action, attempts, error }) => [index, action, attempts, error.message]),
      [
        [1, onError, 1, 'no bad 1'],
        [3, onError, 1, 'no bad 2'],
      ],
    )
    assert.equal(instance.stats().timers, 3)
    assert.equal(instance.nextTimerMs, nowMs + 1)
  }
})

test('SingleIsolate.run under `fail` keeps what was finished before, and ends', async () => {
  const { instance } = await start(fn(failOn('bad'), 'processTimer() {},'))
  const result = await instance.run([frameOfTexts('a', 'bad', 'b')], nowMs)
  assert.equal(result.records, 1)
  assert.deepEqual(texts(result), ['a'])
  assert.equal(result.fatal?.code, 'ERR_FUNCTION_FAILED')
  assert.deepEqual(
    result.failures.map(({ index, action }) => [index, action]),
    [[1, 'fail']],
  )
  await assert.rejects(instance.run([], nowMs), (error: CodedError) => error.code === 'ERR_FUNCTION_FAILED')
})

test('SingleIsolate.run retries at once, and reports a retry that succeeded', async (t) => {
  // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
  const onError = { retry: 2, then: 'skip', waitMs: 0 } as const
  const source = fn(`
    globalThis.calls = (globalThis.calls ?? 0) + 1
    ctx.produceRecord('out', '', String(globalThis.calls))
    if (record.text() === 'always' || globalThis.calls % 2 === 1) throw new TypeError('flaky')`)
  const { instance, lines } = await start(source, { manifest: { onError } })
  t.after(() => instance.destroy())
  const result = await instance.run([frameOfTexts('once', 'always', 'once')], nowMs)
  assert.deepEqual([result.records, result.retries], [3, 3], 'a record is one, however often it is tried')
  assert.deepEqual(texts(result), ['2', '6'])
  assert.deepEqual(
    result.failures.map(({ index, action, attempts }) => [index, action, attempts]),
    [[1, 'skip', 3]],
  )
  assert.equal(
    lines.filter(({ message }) => /went through at attempt 2, after TypeError: flaky/.test(message)).length,
    1,
  )
})

test('SingleIsolate maps an error to the line of TypeScript that threw it', async () => {
  const { instance } = await start(`import { defineFunction, groupBy } from 'concord'

interface Click { readonly url: string }
function check(click: Click): string {
  if (click.url === '') {
    throw new RangeError('empty') // line 6
  }
  return click.url
}
export default defineFunction({
  metadata: { name: 'fn', istreams: { in: groupBy } },
  processRecord(_ctx, record) {
    check(record.json<Click>()) // line 13
  },
})
`)
  const { failures, fatal } = await instance.run([frameOfTexts('{"url":""}')], nowMs)
  const { error } = failures[0]!
  assert.equal(error.name, 'RangeError')
  assert.equal(error.at, 'fn.ts:6:11')
  assert.match(error.stack, /at check \(fn\.ts:6:11\)\n.*processRecord \(fn\.ts:13:5\)/)
  assert.doesNotMatch(error.stack, /runtime|file:|isolated-vm|harness|work/)
  assert.match(fatal!.message, /RangeError: empty at fn\.ts:6:11/)
})

test('SingleIsolate maps the frames of errors in log lines, and leaves what else they have', async (t) => {
  const { instance, lines } = await start(`import { defineFunction, groupBy } from 'concord'

interface Click { readonly url: string }
function check(click: Click): never {
  throw new RangeError(click.url) // line 5
}
export default defineFunction({
  metadata: { name: 'fn', istreams: { in: groupBy } },
  processRecord(_ctx, record) {
    try {
      check(record.json<Click>()) // line 11
    } catch (error) {
      console.error(error)
      console.warn('in', { error }, 'and more')
      console.info('function.js:1:1\\n    at home, not in function.js')
    }
  },
})
`)
  t.after(() => instance.destroy())
  await instance.run([frameOfTexts('{"url":"no"}')], nowMs)
  const frames = '    at check (fn.ts:5:9)\n    at Object.processRecord (fn.ts:11:7)'
  assert.deepEqual(
    lines.map(({ message }) => message),
    [
      `RangeError: no\n${frames}`,
      `in { error: RangeError: no\n${frames} } and more`,
      'function.js:1:1\n    at home, not in function.js',
    ],
  )
})

test('SingleIsolate reports a rejected promise that nobody handles, with the line that rejected it', async () => {
  const { instance } = await start(
    fn("if (record.text() === 'bad') void Promise.reject(new RangeError('stray'))"),
  )
  const { records, fatal } = await instance.run([frameOfTexts('a', 'bad', 'b')], nowMs)
  assert.equal(records, 3)
  assert.equal(fatal?.code, 'ERR_FUNCTION_FAILED')
  assert.match(
    fatal.message,
    /^'fn' v1 rejected a promise in .* that nobody awaits or catches: RangeError: stray at fn\.ts:\d+:\d+$/,
  )
})

test('SingleIsolate calls due timers in order of time before the records', async (t) => {
  const source = fn(
    `for (const wait of [30, 10, 20, 10]) ctx.setTimer('t' + wait, ctx.nowMs() + wait)
     ctx.produceRecord('out', '', record.text())`,
    `processTimer(ctx, key, timeMs) { ctx.produceRecord('out', '', key + ' ' + (timeMs - ${nowMs})) },`,
  )
  const { instance } = await start(source)
  t.after(() => instance.destroy())
  assert.deepEqual(texts(await instance.run([frameOfTexts('r1')], nowMs)), ['r1'])
  assert.equal(instance.nextTimerMs, nowMs + 10)
  const result = await instance.run([frameOfTexts('r2')], nowMs + 20)
  assert.deepEqual(texts(result), ['t10 10', 't20 20', 'r2'])
  assert.equal(result.timersFired, 2)
  assert.equal(result.records, 1)
  const last = await instance.run([], nowMs + 30)
  assert.deepEqual(texts(last), ['t30 30', 't10 30'])
})

test('SingleIsolate returns finished results while a callback waits, and continues when it settles (I1)', async (t) => {
  const source = fn(`
    if (record.text() === 'wait') return new Promise((resolve) => setTimeout(() => {
      ctx.produceRecord('out', '', 'waited')
      resolve()
    }, 5))
    ctx.produceRecord('out', '', record.text())`)
  const { instance } = await start(source)
  t.after(() => instance.destroy())
  const first = await instance.run([frameOfTexts('1', 'wait', '2', 'wait', '3')], Date.now())
  assert.equal(first.pending, true)
  assert.deepEqual(texts(first), ['1'])
  await assert.rejects(instance.run([], nowMs), /resume first/)
  const second = await instance.resume()
  assert.deepEqual([second.pending, second.records, texts(second)], [true, 2, ['waited', '2']])
  const third = await instance.resume()
  assert.deepEqual([third.pending, third.records, texts(third)], [false, 2, ['waited', '3']])
  await assert.rejects(instance.resume(), /no callback is pending/)
})

test('SingleIsolate runs async callbacks that need not wait within one call', async (t) => {
  const { instance } = await start(
    fn(`return (async () => { await null; ctx.produceRecord('out', '', record.text()); await 1 })()`),
  )
  t.after(() => instance.destroy())
  const result = await instance.run([frameOfTexts('1', '2', '3')], nowMs)
  assert.equal(result.pending, false)
  assert.deepEqual(texts(result), ['1', '2', '3'])
})

test('SingleIsolate undoes an async callback that rejects, and what it left running has no effect (I3)', async (t) => {
  const source = fn(`
    return (async () => {
      const text = record.text()
      ctx.produceRecord('out', '', text)
      ctx.setState('last', text)
      if (text === 'leaves') {
        setTimeout(() => ctx.produceRecord('out', '', 'late'), 2)
        Promise.resolve().then(() => null).then(() => null).then(() => null).then(() => null).then(() => {
          try { ctx.produceRecord('out', '', 'floating') } catch (e) { console.log(e.code) }
          try { record.value } catch (e) { console.log(e.code) }
        })
        return
      }
      await null
      if (text === 'bad') throw new Error('rejected')
      await null
      await null
    })()`)
  const { instance, lines } = await start(source, { manifest: { onError: 'skip' } })
  t.after(() => instance.destroy())
  const result = await instance.run([frameOfTexts('good', 'bad', 'leaves', 'next')], nowMs)
  assert.deepEqual(texts(result), ['good', 'leaves', 'next'])
  assert.deepEqual(
    result.failures.map(({ index, error }) => [index, error.message]),
    [[1, 'rejected']],
  )
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['ERR_CALLBACK_OVER', 'ERR_CALLBACK_OVER'],
  )
})

test('SingleIsolate.create runs init with env and args, and destroy runs destroy, both within their time limit', async () => {
  const source = fn(
    '',
    `async init(ctx) {
       await new Promise((resolve) => setTimeout(resolve, 1))
       console.info('init', ctx.env.COLOUR, ctx.args.join(), ctx.function, ctx.version, ctx.instance)
     },
     destroy(ctx) { console.warn('destroy') },`,
  )
  const { instance, lines } = await start(source, { manifest: { env: { COLOUR: 'red' }, args: ['a', 'b'] } })
  await instance.destroy()
  assert.deepEqual(lines, [
    { level: 'info', message: 'init red a,b fn 1 0' },
    { level: 'warn', message: 'destroy' },
  ])
  await assert.rejects(instance.run([], nowMs), /has been ended/)
})

test('SingleIsolate.create refuses code that does not load, and says where', async () => {
  const cases: [string, string, RegExp][] = [
    [
      fn('', `init() { throw new Error('not ready') },`),
      'ERR_INIT_FAILED',
      /Error: not ready at fn\.ts:\d+:\d+/,
    ],
    [fn('', `async init() { await null; throw new Error('later') },`), 'ERR_INIT_FAILED', /later/],
    [
      `const x: number = 1\nthrow new Error('top ' + x)\nexport default {}`,
      'ERR_BUNDLE_LOAD',
      /Error: top 1 at fn\.ts:2:7/,
    ],
    [`export const a = 1`, 'ERR_BUNDLE_LOAD', /default/],
    [`export default {}`, 'ERR_BUNDLE_LOAD', /metadata/],
    [fn('').replace('processRecord', 'processRecords'), 'ERR_BUNDLE_LOAD', /no processRecord/],
    [`await new Promise(() => {})\nexport default {}`, 'ERR_BUNDLE_LOAD', /default export is undefined/],
    [`for (;;);\nexport default {}`, 'ERR_DEADLINE', /limit of 100 ms/],
    [fn('', `init() { for (;;); },`), 'ERR_DEADLINE', /init.* limit of 100 ms/],
    [fn('', `init() { return new Promise(() => {}) },`), 'ERR_DEADLINE', /awaits what nothing will settle/],
    [fn('', `init() { return new Promise((r) => setTimeout(r, 60_000)) },`), 'ERR_DEADLINE', /init/],
  ]
  for (const [source, code, message] of cases) {
    await assert.rejects(
      start(source, { nowMs: Date.now(), manifest: { limits: { initMs: 100 } } }),
      (error: CodedError) =>
        error.code === code &&
        message.test(error.message) &&
        !/file:|harness/.test(JSON.stringify(error.detail)),
      source,
    )
  }
  await assert.rejects(
    start('', { bundle: 'export default {', sourceMap: '' } as object),
    /SyntaxError: .* at function\.js:1:17/,
  )
  await assert.rejects(start('', { bundle: 'import "fs"; export default {}' } as object), /imports 'fs'/)
})

test('SingleIsolate ends a callback that loops, names its record, and keeps the records before', async () => {
  for (const body of [
    `for (;;);`,
    `return (async () => { await null; for (;;); })()`,
    `return new Promise((resolve) => setTimeout(() => { for (;;); }, 1))`,
    `throw { get message() { for (;;); } }`,
    `const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { for (;;); } }); throw e`,
    `Error.prepareStackTrace = () => { for (;;); }; throw new Error('x')`,
    `throw new Proxy({}, { get() { for (;;); } })`,
    `return { get then() { for (;;); } }`,
    `return { then() { for (;;); } }`,
  ]) {
    const source = fn(
      `if (record.text() === 'bad') { ${body} } else ctx.produceRecord('out', '', record.text())`,
    )
    const { instance } = await start(source, { manifest: { limits: { callbackMs: 400 }, onError: 'skip' } })
    const f = frame([record('1'), record('2'), record('bad'), record('4')], 3, 1000)
    let result = await instance.run([f], Date.now())
    const done = result.records
    assert.deepEqual([done, texts(result)], [2, ['1', '2']], body)
    if (result.pending) result = await instance.resume()
    assert.equal(result.fatal?.code, 'ERR_DEADLINE', body)
    assert.match(result.fatal.message, /record 1002 of producer 0000000000000001 in 'in'\/3/, body)
  }
})

test('SingleIsolate ends a callback whose promise settles too late or never', async () => {
  const late = await start(fn(`return new Promise((r) => setTimeout(r, 60_000))`), {
    manifest: { limits: { asyncMs: 50 } },
  })
  assert.equal((await late.instance.run([frameOfTexts('x')], Date.now())).pending, true)
  const result = await late.instance.resume()
  assert.match(result.fatal!.message, /has not settled in 50 ms/)
  const never = await start(fn(`return new Promise(() => {})`))
  await never.instance.run([frameOfTexts('x')], nowMs)
  assert.match((await never.instance.resume()).fatal!.message, /awaits what nothing will settle/)
})

test('SingleIsolate asks a slow batch to end, so that many slow records exceed no limit', async (t) => {
  const spin = `const end = new Intl.DateTimeFormat; for (let i = 0, x = 0; i < 3e6; i++) x += Math.sqrt(i)`
  const { instance } = await start(fn(spin), { sliceMs: 50 })
  t.after(() => instance.destroy())
  let left = Array.from({ length: 200 }, () => 'x')
  let calls = 0
  while (left.length > 0) {
    const result = await instance.run([frameOfTexts(...left)], nowMs)
    assert.equal(result.fatal, undefined)
    assert.ok(result.records > 0)
    left = left.slice(result.records)
    calls++
  }
  assert.ok(calls > 1)
})

test('SingleIsolate refuses output beyond the limit of a callback, and ends a batch that produced much', async (t) => {
  const source = fn(`
    const [what, count] = record.text().split(' ')
    for (let i = 0; i < Number(count); i++) ctx.produceRecord('out', '', 'x'.repeat(1000))`)
  const { instance } = await start(source, {
    manifest: { onError: 'skip', limits: { outputBytesPerRecord: 100_000 } },
  })
  t.after(() => instance.destroy())
  const over = await instance.run([frameOfTexts('ok 10', 'over 100', 'ok 10')], nowMs)
  assert.deepEqual([over.records, over.recordsOut], [3, 20])
  assert.match(
    over.failures[0]!.error.message,
    /one callback may produce 100000 bytes in all, and this would make it 10\d{4} bytes \(limits/,
  )
  assert.equal(over.failures[0]!.error.name, 'ERR_OUTPUT_TOO_LARGE')
  const much = await instance.run([frameOfTexts(...Array.from({ length: 100 }, () => 'much 90'))], nowMs)
  assert.ok(much.records < 100 && much.records >= 10, `${much.records} records`)
  assert.equal(much.recordsOut, 90 * much.records)
})

test('SingleIsolate.setOutputs takes effect with the next batch', async (t) => {
  const { instance } = await start(
    fn(`ctx.produceRecord('out', record.key, '', { partition: Number(record.text()) })`),
    {
      manifest: { onError: 'skip' },
    },
  )
  t.after(() => instance.destroy())
  const before = await instance.run([frameOfTexts('3', '4')], nowMs)
  assert.equal(before.failures[0]?.error.message, "Cannot produce to partition 4 of 'out': it has 0 to 3")
  instance.setOutputs({ out: { partitions: 8, keyed: false } })
  const after = await instance.run([frameOfTexts('3', '4')], nowMs)
  assert.deepEqual(
    after.outputs().map(({ partition }) => partition),
    [3, 4],
  )
})

test('SingleIsolate.kill ends a running call with a fatal result', async () => {
  const { instance } = await start(fn(`for (;;);`), { manifest: { limits: { callbackMs: 60_000 } } })
  const running = instance.run([frameOfTexts('x')], nowMs)
  setImmediate(() => instance.kill())
  const result = await running
  assert.equal(result.fatal?.code, 'ERR_INSTANCE_STATE')
})

test('SingleIsolate reads text that does not depend on the batch’s memory, the same with and without the host’s string', async (t) => {
  const { instance } = await start(fn(`ctx.produceRecord('out', record.keyText(), record.text())`))
  t.after(() => instance.destroy())
  const input = ['plain ascii of some length', 'grüße 🙂', '', 'ÿ']
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(texts(await instance.run([frameOfTexts(...input)], nowMs)), input)
  }
})

test('SingleIsolate reports a bounded part of a flood of failures, counts all, and gives the place of each reported one (RB1, RB2)', async (t) => {
  const source = fn(`throw new RangeError('no ' + record.value.length)`)
  const flood = frameOfTexts(...Array.from({ length: 2000 }, () => 'x'))
  for (const [onError, told] of [
    ['skip', 100],
    ['deadLetter', 2000],
  ] as const) {
    const { instance } = await start(source, { manifest: { onError } })
    t.after(() => instance.kill())
    const failures: RecordFailure[] = []
    const indices: number[] = []
    for (let done = 0; done < 2000; ) {
      const result = await instance.run([{ ...flood, skip: done }], nowMs) // a busy machine cuts it into slices
      failures.push(...result.failures)
      indices.push(...result.failures.map(({ index }) => index + done))
      done += result.records
    }
    assert.ok(failures.every(({ action }) => action === onError))
    assert.deepEqual(indices, [...Array(2000).keys()])
    assert.equal(failures.filter((failure) => failure.told).length, told)
    const stacks = failures.map(({ error }) => error.stack.split('\n').length - 1)
    assert.ok(stacks.slice(0, 20).every((frames) => frames >= 1))
    const stackless = failures.filter((failure) => failure.stackless).length
    assert.equal(stackless, onError === 'skip' ? 0 : 1001, 'from the 1000th on')
    assert.equal(failures[99]!.error.message, 'no 1')
    assert.match(failures[99]!.error.at ?? '', /^fn\.ts:\d+:\d+$/)
    const later = await instance.run([frameOfTexts('x')], nowMs + 1000)
    assert.equal(later.failures[0]!.error.stack, failures[0]!.error.stack)
  }
})

test('SingleIsolate keeps the stack depth that the function has set (RB3)', async (t) => {
  const source = fn(`throw new RangeError('no')`, '//top\nError.stackTraceLimit = 0')
  const { instance } = await start(source, { manifest: { onError: 'deadLetter' } })
  t.after(() => instance.kill())
  const result = await instance.run([frameOfTexts(...Array.from({ length: 30 }, () => 'x'))], nowMs)
  assert.deepEqual(new Set(result.failures.map(({ error }) => error.stack)), new Set(['RangeError: no']))
})
