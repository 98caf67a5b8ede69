import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isEqual } from './equality.ts'

test("isEqual agrees with the comparison of two values' JSON", () => {
  const value = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      fc.constantFrom(0, 1, '', 'a', true, null),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
    ),
  })).value
  const sorted = (of: unknown): string =>
    JSON.stringify(of, (_, inner) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort())
        : inner,
    )
  fc.assert(
    fc.property(value, value, (a, b) => {
      assert.equal(isEqual(a, b), sorted(a) === sorted(b))
      assert.equal(isEqual(a, structuredClone(a)), true)
    }),
    { numRuns: 1_000 },
  )
  assert.equal(isEqual({ a: new Map([[1, { b: 2 }]]) }, { a: new Map([[1, { b: 2 }]]) }), true)
  assert.equal(isEqual(new Map([[1, 2]]), new Map([[1, 3]])), false)
  assert.equal(isEqual(new Map([[1, 2]]), new Map([[2, 2]])), false)
  assert.equal(isEqual({ a: 1, b: undefined }, { a: 1 }), true)
  assert.equal(isEqual({ a: 1 }, { a: 1, b: undefined }), true)
})
