import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { backoffMs, nextRandom } from './backoff.ts'

test('backoffMs doubles up to its bound, and waits at least half of it', () => {
  assert.deepEqual(
    [0, 1, 2, 10].map((attempt) => backoffMs(attempt, 1_000, 60_000, 0)),
    [500, 1_000, 2_000, 30_000],
  )
  fc.assert(
    fc.property(
      fc.nat(2_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, random) => {
        const delayMs = backoffMs(attempt, 1_000, 60_000, random)
        assert.ok(delayMs >= 500 && delayMs <= 60_000)
      },
    ),
  )
})

test('nextRandom repeats for the same seed and covers its range', () => {
  assert.deepEqual(nextRandom(7), nextRandom(7))
  const buckets = new Set<number>()
  let seed = 1
  for (let i = 0; i < 1_000; i++) {
    const [random, next] = nextRandom(seed)
    assert.ok(random >= 0 && random < 1)
    buckets.add(Math.floor(random * 10))
    seed = next
  }
  assert.equal(buckets.size, 10)
})
