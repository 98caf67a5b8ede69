import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LatencyMeter } from './latency-meter.ts'

const near = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) <= expected / 1000, `${found} is not ${expected}`)

test('LatencyMeter answers percentiles in milliseconds, to a thousandth', () => {
  const meter = new LatencyMeter(0)
  for (let us = 1; us <= 100_000; us++) meter.record(7, 7 + us)
  const { p50Ms, p99Ms, p999Ms } = meter.percentiles()
  near(p50Ms, 50)
  near(p99Ms, 99)
  near(p999Ms, 99.9)
})

test('LatencyMeter leaves out the warm-up and nothing else', () => {
  const meter = new LatencyMeter(2)
  for (const us of [90_000, 80_000, 1_000, 1_000, 1_000]) meter.record(0, us)
  near(meter.percentiles().p999Ms, 1)
})

test('LatencyMeter counts all that a stalled load should have sent', () => {
  const meter = new LatencyMeter(0)
  for (let due = 0; due < 1_000; due++) meter.record(due * 1_000, Math.max(due * 1_000, 500_000) + 100)
  near(meter.percentiles().p50Ms, 0.1) // half of them were due after the stall …
  near(meter.percentiles().p99Ms, 490.1) // … the others waited for its end
})
