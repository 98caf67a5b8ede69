import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Calls, Measures, msPerRecord } from './measures.ts'

/** Calls of one size, of a version that takes so long for a call and for a record. */
function calls(count: number, size: number, callMs: number, recordMs: number): Calls {
  return { calls: count, records: count * size, ms: count * (callMs + size * recordMs) }
}

const size = fc.double({ min: 1, max: 500, noNaN: true })
const costs = fc.record({
  callMs: fc.double({ min: 0, max: 5, noNaN: true }),
  recordMs: fc.double({ min: 0.001, max: 2, noNaN: true }),
})

test('msPerRecord finds an equally fast version no slower, with calls of any size, cold ones included', () => {
  fc.assert(
    fc.property(
      ...[size, size, size, costs, fc.double({ min: 0, max: 0.1, noNaN: true })],
      (canary, control, rest, { callMs, recordMs }, coldMs) => {
        const [newMs, oldMs] = msPerRecord(
          calls(9, canary, callMs + coldMs, recordMs),
          calls(7, control, callMs, recordMs),
          calls(8, rest, callMs, recordMs),
        )
        assert.ok(newMs <= oldMs * 1.34, `${newMs} for ${oldMs}`) // sizes that differ by less than a quarter tell nothing
      },
    ),
  )
})

test('msPerRecord finds a version slower that takes three times as long, if that is more than a cold call costs', () => {
  fc.assert(
    fc.property(...[size, size, size, costs], (canary, control, rest, { callMs, recordMs }) => {
      fc.pre(canary * recordMs > 0.15 && Math.abs(rest - control) > control / 4)
      const [newMs, oldMs] = msPerRecord(
        calls(9, canary, callMs, 3 * recordMs),
        calls(7, control, callMs, recordMs),
        calls(8, rest, callMs, recordMs),
      )
      assert.ok(newMs > 2 * oldMs, `${newMs} for ${oldMs}`)
    }),
  )
})

test('Measures counts records at which the canary threw among its records, so failures never exceed records', () => {
  const measures = new Measures(1.5, { canary: [], control: [] }, () => 0)
  const done = { verdict: 0, metric: 0, values: 0, streams: [] }
  for (let i = 0; i < 3; i++) measures.regression(`error ${i}`)
  measures.record('canary', 0, done)
  measures.record('control', 0, done)
  measures.controlFailed()
  const { canary, control, example } = measures.evidence()
  assert.deepEqual([canary.records, canary.errors, example], [4, 3, 'error 0'])
  assert.deepEqual([control.records, control.errors], [1, 1])
  assert.equal(canary.buckets[0]?.[0], 1, 'what it put out is held against what it has done alone')
})

test('Measures counts outputs by bucket and stream, and windows in which the canary was slower', () => {
  let nowMs = 0
  const streams = { canary: ['verdicts', 'alerts'], control: ['alerts', 'verdicts', 'old'] }
  const measures = new Measures(1.5, streams, () => nowMs)
  const done = { verdict: 0, metric: 0, values: 0 }
  measures.record('canary', 3, { ...done, streams: [0, 1, 1] })
  measures.record('canary', 4, { ...done, streams: [] })
  measures.record('control', 3, { ...done, streams: [0] })
  for (let window = 1; window <= 3; window++) {
    nowMs += 250
    const canaryMs = window === 2 ? 4 : 1 // ten records of 0.1 ms, but for one window
    for (let i = 0; i < 4; i++) {
      measures.call('control', 20, 2)
      measures.call('rest', 40, 4)
      measures.call('canary', 10, canaryMs)
    }
  }
  const { canary, control, windows, slower } = measures.evidence()
  assert.deepEqual([canary.records, canary.outputs, control.records, control.outputs], [2, 3, 1, 1])
  assert.deepEqual(Object.keys(canary.streams), ['verdicts', 'alerts'])
  assert.deepEqual([canary.streams['alerts']![3], canary.streams['verdicts']![3]], [2, 1])
  assert.deepEqual(
    Object.entries(control.streams).map(([name, [, , , third]]) => [name, third]),
    [
      ['alerts', 1],
      ['verdicts', 0],
      ['old', 0],
    ],
  )
  assert.deepEqual([windows, slower], [3, 1])
})
