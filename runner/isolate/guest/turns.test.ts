import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from './turns.ts'

test('Turns runs at most the given number at once, in order, and continues after one that throws', async () => {
  const turns = new Turns(2)
  const begun: number[] = []
  const ends: PromiseWithResolvers<void>[] = []
  const results = [0, 1, 2, 3].map((n) =>
    turns.take(async () => {
      begun.push(n)
      ends[n] = Promise.withResolvers<void>()
      await ends[n].promise
      return n
    }),
  )
  await Promise.resolve()
  assert.deepEqual(begun, [0, 1])
  ends[1]!.reject(new Error('no'))
  await assert.rejects(results[1]!, /no/)
  assert.deepEqual(begun, [0, 1, 2])
  ends[0]!.resolve()
  ends[2]!.resolve()
  assert.deepEqual(await Promise.all([results[0], results[2]]), [0, 2])
  assert.deepEqual(begun, [0, 1, 2, 3])
  ends[3]!.resolve()
  assert.equal(await results[3], 3)
})
