import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Latencies } from './latencies.ts'

test('Latencies gives the same quantiles as a sorted list', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(5_000), { minLength: 1 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (all, share) => {
        const latencies = new Latencies()
        for (const ms of all) latencies.add(ms)
        const sorted = all.toSorted((a, b) => a - b)
        assert.equal(latencies.quantile(share), sorted[Math.ceil(share * sorted.length) - 1])
      },
    ),
  )
})

test('Latencies is 0 when empty, and takes clocks that went back and waits without bound', () => {
  const latencies = new Latencies()
  assert.equal(latencies.quantile(0.99), 0)
  latencies.add(-5)
  assert.equal(latencies.quantile(1), 0)
  latencies.add(Number.MAX_SAFE_INTEGER)
  assert.equal(latencies.quantile(1), 600_000)
})
