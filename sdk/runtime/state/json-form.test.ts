import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createContext, runInContext } from 'node:vm'
import fc from 'fast-check'
import { jsonOf } from './json-form.ts'
import { kitOf } from './testing.ts'

class Person {
  readonly name = 'Ada'
}
class Money {
  toJSON(): string {
    return '12.50'
  }
}
const cycle: Record<string, unknown> = {}
cycle['self'] = { cycle }

test('jsonOf takes what JSON keeps, and it comes back equal', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.equal(jsonOf(value), JSON.stringify(value))
    }),
    { numRuns: 300 },
  )
  assert.equal(jsonOf({ a: undefined, b: [null] }), '{"b":[null]}')
  assert.equal(jsonOf(Object.assign(Object.create(null), { a: 1 })), '{"a":1}')
  assert.equal(jsonOf(runInContext('({ a: [1] })', createContext())), '{"a":[1]}', 'of another realm')
  const shared = { n: 1 }
  assert.equal(jsonOf([shared, shared]), '[{"n":1},{"n":1}]')
})

test('jsonOf refuses what would come back as something else, says where it is and what to keep', () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [
      new Map([['a', 1]]),
      /the value is a Map, and \{\} would come back: keep \[\.\.\.it\] \(JSON keeps plain/,
    ],
    [{ a: [0, { seen: new Set([1]) }] }, /the value\.a\[1\]\.seen is a Set, and \{\} would/],
    [{ at: new Date(0) }, /the value\.at is a Date, and text would come back: keep its getTime\(\)/],
    [[new Person()], /the value\[0\] is a Person, and a plain object would come back/],
    [new Money(), /the value is a Money, and string would come back/],
    [new Uint8Array(2), /the value is a Uint8Array, .* setState keeps bytes/],
    [{ mean: 0 / 0 }, /the value\.mean is NaN, and null would come back/],
    [Number.NEGATIVE_INFINITY, /the value is -Infinity, and null/],
    [{ id: 1n }, /the value\.id is a bigint, which JSON does not have: keep its text/],
    [[1, undefined], /the value\[1\] is undefined, and null/],
    [{ list: new Array(3) }, /the value\.list has holes, and null/],
    [{ f: () => 1 }, /the value\.f is a function, which JSON does not have/],
    [{ s: Symbol('s') }, /the value\.s is a symbol/],
    [cycle, /the value\.self\.cycle is a cycle: it contains itself/],
    [undefined, /JSON has no form of undefined/],
  ]
  for (const [value, message] of cases) assert.throws(() => jsonOf(value), { code: 'ERR_ARGUMENT', message })
})

test('every way to store JSON refuses what does not come back, and changes nothing', () => {
  const { run } = kitOf()
  const bad = new Map([['a', 1]])
  const ways = [
    () => run((ctx) => ctx.setJson('k', bad)),
    () => run((ctx) => ctx.value('k').set({ bad })),
    () => run((ctx) => ctx.list('k').push([bad])),
  ]
  for (const way of ways) assert.throws(way, /is a Map, and \{\} would come back/)
  run((ctx) => assert.deepEqual([ctx.getJson('k'), ctx.list('k').length], [undefined, 0]))
})
