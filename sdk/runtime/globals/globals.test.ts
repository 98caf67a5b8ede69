import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConsoleRing, readConsole } from '../shared/console-ring.ts'
import { ControlWords } from '../shared/control-words.ts'
import { consoleBytes, consoleLineMax, control, controlBytes, type LogLevel } from '../shared/layout.ts'
import { ChaCha } from './chacha.ts'
import { makeConsole } from './console.ts'
import { format } from './format.ts'
import { makeCrypto } from './random.ts'
import { structuredClone as ourClone } from './structured-clone.ts'

test('ChaCha gives the bytes of RFC 8439, section 2.3.2', () => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => i)
  const bytes = new Uint8Array(64)
  new ChaCha(key, 1, [0x09000000, 0x4a000000, 0]).fill(bytes)
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    '10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4ed2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e',
  )
})

test('ChaCha.number is uniform in [0, 1) and the same for the same seed', () => {
  const [a, b] = [new ChaCha(new Uint8Array(32)), new ChaCha(new Uint8Array(32))]
  let sum = 0
  for (let i = 0; i < 10_000; i++) {
    const number = a.number()
    assert.ok(number >= 0 && number < 1)
    assert.equal(b.number(), number)
    sum += number
  }
  assert.ok(Math.abs(sum / 10_000 - 0.5) < 0.02)
})

test('crypto fills views of integers and makes UUIDs of version 4', () => {
  const chacha = new ChaCha(new Uint8Array(32))
  const crypto = makeCrypto({ fillRandom: (bytes) => chacha.fill(bytes) })
  assert.match(crypto.randomUUID(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.notEqual(crypto.getRandomValues(new Uint32Array(4)).join(), '0,0,0,0')
  assert.throws(() => crypto.getRandomValues(new Float64Array(1)), { name: 'TypeMismatchError' })
  assert.throws(() => crypto.getRandomValues(new Uint8Array(65537)), { name: 'QuotaExceededError' })
})

test('structuredClone clones what Node’s clones', () => {
  fc.assert(
    fc.property(
      fc.anything({
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        withBigInt: true,
        withSparseArray: true,
        withBoxedValues: true,
      }),
      (value) => {
        assert.deepEqual(ourClone(value), structuredClone(value))
      },
    ),
    { numRuns: 500 },
  )
  const cycle: Record<string, unknown> = { list: [] }
  cycle['self'] = cycle
  ;(cycle['list'] as unknown[]).push(cycle)
  const copy = ourClone(cycle)
  assert.equal(copy['self'], copy)
  assert.equal((copy['list'] as unknown[])[0], copy)
  const error = ourClone(new RangeError('far', { cause: 1 }))
  assert.ok(error instanceof RangeError && error.message === 'far' && error.cause === 1)
  const buffer = new Uint8Array([1, 2]).buffer
  const moved = ourClone({ view: new Uint8Array(buffer) }, { transfer: [buffer] })
  assert.deepEqual([buffer.byteLength, [...moved.view]], [0, [1, 2]])
  for (const bad of [() => 1, Symbol('s'), new WeakMap(), { deep: [() => 1] }]) {
    assert.throws(() => ourClone(bad), { name: 'DataCloneError' })
  }
})

test('format shows any value on one bounded line', () => {
  const cycle: Record<string, unknown> = {}
  cycle['me'] = cycle
  const hostile = {
    get a(): never {
      throw new Error('no')
    },
  }
  const cases: [unknown[], string][] = [
    [['a', 1, 2n, null, undefined, true], 'a 1 2n null undefined true'],
    [[{ a: 'x', 'b c': [1, { d: { e: { f: 1 } } }] }], '{ a: "x", "b c": [ 1, { d: [Object] } ] }'],
    [
      [new Map([['k', new Set([1])]]), new Uint8Array([1, 2])],
      'Map(1) { "k" => Set(1) { 1 } } Uint8Array(2) [ 1, 2 ]',
    ],
    [['%s is %d%% of %j', 'x', 5, { a: 1 }, 'more'], 'x is 5% of { a: 1 } more'],
    [['%s'], '%s'],
    [[cycle, () => 1, Symbol('s')], '{ me: [Circular] } [Function: anonymous] Symbol(s)'],
    [[hostile], '[could not be shown]'],
    [[new Date(0), /x/g, []], '1970-01-01T00:00:00.000Z /x/g []'],
  ]
  for (const [args, line] of cases) assert.equal(format(args), line)
  assert.match(format([new TypeError('bad')]), /^TypeError: bad\n/)
  assert.equal(format(['x'.repeat(1e6)]).length, consoleLineMax)
  assert.ok(format([Array.from({ length: 1e5 }, () => 'long '.repeat(100))]).length <= consoleLineMax)
})

test('makeConsole writes only from its level on', () => {
  const lines: string[] = []
  const print = (level: LogLevel, line: string) => void lines.push(`${level} ${line}`)
  const console = makeConsole({ print, nowMs: 0 }, 'warn')
  for (const name of ['debug', 'log', 'info', 'warn', 'error']) console[name]!(name)
  console['assert']!(1 > 2, 'sum')
  assert.deepEqual(lines, ['warn warn', 'error error', 'error Assertion failed: sum'])
})

test('ConsoleRing is bounded in bytes and lines, and says how many it dropped', () => {
  const controlWords = new ControlWords(new ArrayBuffer(controlBytes))
  const memory = new ArrayBuffer(consoleBytes)
  const ring = new ConsoleRing(memory, 0, controlWords)
  const take = () => {
    const lines = readConsole(new Uint8Array(memory.slice(0, controlWords.word(control.consoleEnd))))
    controlWords.setWord(control.consoleEnd, 0)
    return lines
  }
  ring.write('info', 'grüße', 0)
  ring.write('error', '', 0)
  assert.deepEqual(take(), [
    { level: 'info', line: 'grüße' },
    { level: 'error', line: '' },
  ])
  for (let i = 0; i < 1000; i++) ring.write('info', '€'.repeat(consoleLineMax + 5), 0)
  const some = take()
  assert.ok(some.length > 0 && some.length < 10)
  assert.equal(some[0]?.line.length, consoleLineMax)
  for (let i = 0; i < 1000; i++) ring.write('info', `line ${i}`, 1500)
  const lines = take()
  assert.match(lines[0]!.line, /^\d+ lines of the console were dropped/)
  assert.equal(lines.length, 500)
  ring.write('info', 'next second', 2500)
  assert.equal(
    take()[0]?.line,
    '501 lines of the console were dropped: at most 500 lines and 64 KiB a second',
  )
  assert.deepEqual(readConsole(Uint8Array.of(9, 0, 0, 0)), [], 'a level that is none')
  assert.deepEqual(readConsole(Uint8Array.of(1, 255, 255, 255)), [], 'a length beyond the end')
})
