import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Checker } from './checker.ts'

test('Checker tells lost, repeated and reordered apart', () => {
  const checker = new Checker(2)
  for (const number of [0, 1, 3, 4, 2, 4]) checker.see(0, number)
  for (const number of [0, 2]) checker.see(1, number)
  assert.equal(checker.received, 7)
  assert.deepEqual(checker.checks(8), { lost: 1, repeated: 1, reordered: 1 })
})

test('Checker refuses a number or a source that was never sent', () => {
  assert.throws(() => new Checker(1).see(0, 4_000_000_000), /Record 4000000000 of source 0 was never sent/)
  assert.throws(() => new Checker(1).see(1, 0), /source 1/)
})

/** The slow way: what came before decides. */
function judged(seen: readonly number[], planned: number) {
  let [repeated, reordered] = [0, 0]
  seen.forEach((number, at) => {
    const before = seen.slice(0, at)
    if (before.includes(number)) repeated++
    else if (before.some((other) => other > number)) reordered++
  })
  return { lost: planned - new Set(seen).size, repeated, reordered }
}

test('Checker agrees with the slow way on any delivery', () => {
  const delivery = fc.array(fc.nat(30), { maxLength: 60 })
  fc.assert(
    fc.property(fc.array(delivery, { minLength: 1, maxLength: 3 }), (deliveries) => {
      const checker = new Checker(deliveries.length)
      deliveries.forEach((seen, source) => {
        for (const number of seen) checker.see(source, number)
      })
      const expected = deliveries.map((seen) => judged(seen, 31))
      const sum = (of: 'lost' | 'repeated' | 'reordered') =>
        expected.reduce((total, each) => total + each[of], 0)
      assert.deepEqual(checker.checks(31 * deliveries.length), {
        ...{ lost: sum('lost'), repeated: sum('repeated'), reordered: sum('reordered') },
      })
    }),
  )
})
