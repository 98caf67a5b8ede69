import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from '../../infra/clock.ts'
import { CpuBudget } from './cpu-budget.ts'

test('CpuBudget grants no more CPU than its limit, a saved second, and one batch (CB1)', () => {
  const batch = fc.record({
    cpuMs: fc.integer({ min: 1, max: 60 }),
    waitedMs: fc.nat(100),
    othersMs: fc.nat(100),
    idleMs: fc.nat(300),
  })
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 80 }), fc.integer({ min: 5, max: 1000 }), (batches, limitMs) => {
      const clock = new ManualClock(0)
      const told: string[] = []
      let processMs = 500
      const budget = new CpuBudget({
        clock,
        processMs: () => processMs,
        msPerSecond: () => limitMs,
        warn: (message) => told.push(message),
      })
      const isolate = { cpuSeconds: 0 }
      let total = 0
      let held = 0
      for (const { cpuMs, waitedMs, othersMs, idleMs } of batches) {
        clock.advance(idleMs)
        if (!budget.isReady) {
          held += budget.readyMs - clock.monotonicMs()
          clock.advance(budget.readyMs - clock.monotonicMs())
        }
        clock.advance(cpuMs + waitedMs)
        total += cpuMs
        processMs += cpuMs + othersMs
        isolate.cpuSeconds += (cpuMs + waitedMs) / 1000
        budget.spend(isolate, undefined)
        const allowed = (limitMs * (clock.monotonicMs() + 1000)) / 1000 + cpuMs
        assert.ok(total <= allowed + 1e-6, `${total} ms used, ${allowed} allowed`)
      }
      assert.ok(held <= budget.throttledMs + 1e-6)
      assert.equal(told.length > 0, budget.throttledMs > 0)
    }),
  )
})

test('CpuBudget starts again with another isolate, and grants everything if there is no limit', () => {
  const clock = new ManualClock(0)
  let limitMs: number | undefined = 100
  let processMs = 0
  const budget = new CpuBudget({
    clock,
    processMs: () => processMs,
    msPerSecond: () => limitMs,
    warn: () => undefined,
  })
  processMs = 100
  budget.spend({ cpuSeconds: 0.1 }, undefined)
  assert.ok(budget.isReady)
  processMs = 150
  budget.spend({ cpuSeconds: 0.05 }, undefined)
  assert.equal(budget.readyMs - clock.monotonicMs(), 500)
  limitMs = undefined
  const unasked = {
    get cpuSeconds(): number {
      return assert.fail('nobody asks')
    },
  }
  budget.spend(unasked, undefined)
})

test('CpuBudget charges no more than the process has used, however long its thread waited for a CPU (CB2)', () => {
  const clock = new ManualClock(0)
  let processMs = 40_000
  const told: string[] = []
  const budget = new CpuBudget({
    clock,
    processMs: () => processMs,
    msPerSecond: () => 100,
    warn: (message) => told.push(message),
  })
  const isolate = { cpuSeconds: 0 }
  for (let i = 0; i < 5; i++) {
    clock.advance(2000)
    isolate.cpuSeconds += 2
    processMs += 180
    budget.spend(isolate, undefined)
    assert.equal(budget.throttledMs, (i + 1) * 800, 'of 180 ms, 100 were saved up')
    clock.advance(800)
  }
  assert.match(told[0]!, /used 180 ms of CPU, and it may have 100/)
})
