import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Forecast } from './forecast.ts'
import { type ScalePolicyInput, scaleSettingsSchema } from './policy.ts'
import { readLoad, shapes, withNoise } from './shapes.ts'
import { type Plant, simulate } from './simulate.ts'

const policyOf = (input: ScalePolicyInput) => scaleSettingsSchema.parse(input)
const plant: Plant = { perInstance: 400, startMs: 2000, partitions: 16, beginMs: Date.UTC(2026, 0, 5) }

test('simulate neither makes nor loses records (SM1), and counts instance time', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 0, max: 3 }),
      (load, min) => {
        const policy = policyOf({ min, max: 12, down: { afterMs: 5000, coolDownMs: 0 } })
        const { arrived, processed, seconds, instanceSeconds } = simulate(policy, load, plant)
        const left = seconds.at(-1)!.backlog
        assert.ok(Math.abs(arrived - processed - left) < 1e-6 * Math.max(1, arrived))
        assert.equal(
          instanceSeconds,
          seconds.reduce((sum, { wanted }) => sum + wanted, 0),
        )
        for (const { working, wanted } of seconds) assert.ok(working <= Math.max(wanted, 12) && wanted <= 12)
      },
    ),
  )
})

test('simulate catches up with a tenfold load, and does not change the number for a steady load with noise', () => {
  const policy = policyOf({ max: 16, up: { step: 16 } })
  const step = simulate(policy, shapes['step']!.of(300, 2000), plant)
  const from = step.seconds.findIndex(({ demand }) => demand === 2000)
  const back = step.seconds.findLastIndex(({ behindMs }) => behindMs > 1000)
  assert.ok(back - from <= 10, `under target after ${back - from} s`)
  let seed = 7
  const random = () => {
    seed = (seed * 48271) % 2147483647
    return seed / 2147483647
  }
  const steady = simulate(policy, withNoise(shapes['steady']!.of(1800, 4000), 0.2, random), plant)
  const late = steady.changes.filter(({ second }) => second > 60)
  assert.equal(
    new Set(late.map(({ from: was, to }) => Math.sign(to - was))).size <= 1,
    true,
    JSON.stringify(late),
  )
})

test('simulate: however slowly instances start, a load that grows at once leads to few more than it needs, and to no lasting backlog', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 20_000 }),
      (startS, before, more) => {
        const policy = policyOf({ max: 512, up: { step: 512 } })
        const after = before + more
        const [quietS, loudS] = [60, 300]
        const load = [...Array<number>(quietS).fill(before), ...Array<number>(loudS).fill(after)]
        const plantOf = { ...plant, startMs: startS * 1000, partitions: 512 }
        const { seconds } = simulate(policy, load, plantOf)
        // All of the load waits until it was seen for `up.afterMs`, and new instances work.
        const waitsS = startS + 4
        const catchUpS = Math.max(5, 3 * startS)
        const needed = after / (plant.perInstance * 0.8)
        const peak = Math.max(...seconds.map(({ wanted }) => wanted))
        assert.ok(peak <= Math.ceil(needed * (1 + waitsS / catchUpS)), `${peak} of ${needed}`)
        const lateS = seconds.findLastIndex(({ behindMs }) => behindMs > 1000) - quietS
        const uneven = Math.ceil(plantOf.partitions / peak) / (plantOf.partitions / peak)
        assert.ok(lateS <= catchUpS * uneven + 4, `${lateS} s late`)
      },
    ),
    { examples: [[30, 300, 1700]], numRuns: 50 },
  )
})

test('simulate: no instance keeps more partitions than it keeps up with, nor does the number change for that', () => {
  fc.assert(
    fc.property(fc.integer({ min: 50, max: 6000 }), (demand) => {
      const policy = policyOf({ max: 16, down: { afterMs: 10_000, coolDownMs: 0 } })
      const { seconds, changes } = simulate(policy, Array<number>(300).fill(demand), plant)
      const { behindMs, wanted } = seconds.at(-1)!
      assert.ok(behindMs <= 1000, `${behindMs} ms behind, with ${wanted} of 16`)
      const late = changes.filter(({ second }) => second > 150)
      assert.ok(late.length === 0, JSON.stringify(late))
    }),
    { examples: [[4100 * 0.8], [1600]] },
  )
})

test('simulate: prediction learns the day and falls behind less than reaction, if days are alike', () => {
  const dayS = 1200
  const base = { min: 1, max: 16, up: { afterMs: 5000 }, down: { afterMs: 20_000 } }
  const slow = { ...plant, startMs: 20_000 }
  const load = shapes['days']!.of(dayS, 3000)
  const reactive = simulate(policyOf(base), load, slow, 3 * dayS)
  const predictive = simulate(
    policyOf({ ...base, predict: { aheadMs: 60_000, dayMs: dayS * 1000 } }),
    load,
    slow,
    3 * dayS,
  )
  assert.ok(
    predictive.overTargetSeconds < reactive.overTargetSeconds / 2,
    `${predictive.overTargetSeconds} of ${reactive.overTargetSeconds}`,
  )
  assert.ok(predictive.underSeconds < reactive.underSeconds)
})

test('Forecast predicts nothing for unseen times, learns days before weeks, and scales by how today compares', () => {
  const dayMs = 100_000
  const forecast = new Forecast(dayMs)
  assert.equal(forecast.until(0, 1000), undefined)
  for (let second = 0; second <= 100; second++) forecast.see(second * 1000, second < 50 ? 10 : 200)
  assert.equal(forecast.until(dayMs + 40_500, 5_000), 10)
  assert.equal(forecast.until(dayMs + 40_500, 15_000), 200)
  const left = new Forecast(dayMs, JSON.parse(JSON.stringify(forecast.learned)))
  assert.equal(left.until(dayMs + 40_500, 15_000), 200, 'it is kept')
  assert.equal(
    new Forecast(50_000, forecast.learned).until(0, 1000),
    undefined,
    'a day of another length is another shape',
  )
  for (let i = 0; i < 4; i++) forecast.see(dayMs + 40_000 + i * 200, 15)
  assert.equal(forecast.until(dayMs + 40_900, 15_000), 300, 'half as much again today')
})

test('readLoad reads CSV and JSONL with both kinds of times, holds each figure until the next, and names a wrong line', () => {
  assert.deepEqual(readLoad('time,perSecond\n1000,5\n3000,7\n4000,0\n', 'a.csv'), [5, 5, 7, 0])
  const lines = '{"time":"2026-01-01T00:00:00Z","perSecond":1}\n{"timeMs":1767225602000,"records":4}\n'
  assert.deepEqual(readLoad(lines, 'a.jsonl'), [1, 1, 4])
  assert.throws(
    () => readLoad('1000,5\n2000,many\n', 'b.csv'),
    /Cannot read the load in 'b.csv': line 2, '2000,many'/,
  )
  assert.throws(() => readLoad('1000,5\n', 'c.csv'), /fewer than two lines/)
  assert.throws(() => readLoad('0,5\n99999999999,1\n', 'd.csv'), /at most 7776000 \(90 days\)/)
})
