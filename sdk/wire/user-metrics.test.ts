import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bounds, MetricSums, metricsMax, quantileOf } from './user-metrics.ts'

const value = fc.oneof(fc.integer({ min: -1000, max: 2_000_000_000 }), fc.constantFrom(...bounds, 0, 1e300))

test('MetricSums of several instances, merged, equal those of one that has seen everything (UM2)', () => {
  fc.assert(
    fc.property(fc.array(fc.array(value, { maxLength: 30 }), { maxLength: 4 }), (instances) => {
      const merged = new MetricSums()
      const one = new MetricSums()
      for (const values of instances) {
        const own = new MetricSums()
        for (const value of values)
          for (const sums of [own, one]) {
            sums.add('a', 'observe', value)
            sums.add('b', 'count', Math.abs(value))
          }
        merged.merge(JSON.parse(JSON.stringify(own.reports())))
      }
      const close = (found: number, expected: number): boolean =>
        Math.abs(found - expected) <= 1e-9 * Math.max(1, Math.abs(expected))
      for (const [i, report] of merged.reports().entries()) {
        const expected = one.reports()[i]!
        assert.ok(close(report.sum, expected.sum))
        assert.deepEqual({ ...report, sum: 0 }, { ...expected, sum: 0 })
      }
    }),
  )
})

test('quantileOf is not below the true quantile, and at most 2.5 times it', () => {
  const positive = fc.integer({ min: 1, max: 400_000_000 })
  fc.assert(
    fc.property(fc.array(positive, { minLength: 1 }), fc.constantFrom(0.5, 0.9, 0.99, 1), (values, share) => {
      const sums = new MetricSums()
      for (const value of values) sums.add('a', 'observe', value)
      const report = sums.reports()[0]!
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1]!
      assert.ok(report.kind === 'observe')
      const found = quantileOf(report, share)
      assert.ok(found >= exact && found <= 2.5 * exact, `${found} of ${exact}`)
    }),
  )
})

test('MetricSums is bounded in names, whatever it is given (UM1)', () => {
  const sums = new MetricSums()
  for (let i = 0; i < 1000; i++) sums.add(`n${i}`, 'count', 1)
  assert.equal(sums.reports().length, metricsMax)
})
