import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startCpuUse } from './cpu-use.ts'

test('startCpuUse says which share of the CPUs was used since then', () => {
  const readings = [
    { busyMs: 1000, allMs: 5000 },
    { busyMs: 1750, allMs: 6000 },
  ]
  assert.equal(startCpuUse(() => readings.shift()!)(), '75 % of the CPUs')
  assert.match(startCpuUse()(), /^\d+ % of the CPUs$/)
})
