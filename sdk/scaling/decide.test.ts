import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type DecideInput, decide } from './decide.ts'
import type { LoadSample } from './need.ts'
import { boundsAt, type ScalePolicyInput, scaleSettingsSchema } from './policy.ts'

const policyOf = (input: ScalePolicyInput) => scaleSettingsSchema.parse(input)

function sampleOf(more: Partial<LoadSample>): LoadSample {
  return {
    atMs: 0,
    instances: 1,
    demand: 0,
    backlog: 0,
    inFlight: 0,
    processed: 0,
    busy: 0,
    cpu: 0,
    timers: 0,
    ...more,
  }
}

/** The same sample each second, up to `nowMs`. */
function steady(more: Partial<LoadSample>, forS: number, nowMs = 1_000_000): LoadSample[] {
  return Array.from({ length: forS + 1 }, (_, i) => sampleOf({ ...more, atMs: nowMs - (forS - i) * 1000 }))
}

function decideOf(more: Partial<DecideInput> & { policy: DecideInput['policy'] }) {
  return decide({ window: [], instances: 1, changedAtMs: 0, nowMs: 1_000_000, ...more })
}

test('decide finds the number for a load in one step, by the true rate', () => {
  const policy = policyOf({ max: 20, up: { step: 20 } })
  const load = { demand: 4000, backlog: 3000, trueRate: 500, busy: 1 }
  const { instances, because } = decideOf({ policy, window: steady(load, 5) })
  assert.equal(instances, 12) // (4000 + 2500 / 5) / (500 × 0.8) = 11.25
  assert.match(
    because,
    /4000 records\/s come, 3000 records wait \(6 s behind, target 1 s\), and an instance does 500 records\/s: 12 needed/,
  )
})

test('decide gives no instance more partitions than it can do, and says so', () => {
  const policy = policyOf({ max: 20, up: { step: 20 } })
  const of = (demand: number, partitions: number) =>
    decideOf({ policy, window: steady({ demand, trueRate: 500, busy: 1 }, 5), partitions })
  assert.equal(of(2000, 512).instances, 5) // 2000 / (500 × 0.8)
  assert.equal(of(2000, 16).instances, 6) // of five, one has four partitions, which bring 500 a second
  const byRate = policyOf({ max: 20, up: { step: 20 }, targets: { recordsPerSecond: 400 } })
  const window = steady({ demand: 4000, trueRate: 500, busy: 1 }, 5)
  assert.equal(decideOf({ policy: byRate, window, partitions: 16 }).instances, 16, 'whatever the target')
  const { instances, because } = of(4000, 16)
  assert.equal(instances, 16) // of ten, six have two partitions, which bring 500 a second
  assert.equal(
    because,
    '4000 records/s come, and an instance does 500 records/s, enough for 1 of 16 partitions: 16 needed',
  )
})

test('decide works a backlog off in three minutes at most, however long a start took', () => {
  const policy = policyOf({ max: 20, up: { step: 20 } })
  const load = { demand: 4000, backlog: 90_500, trueRate: 500, busy: 1 }
  const needed = (startMs: number) => decideOf({ policy, window: steady({ ...load, startMs }, 5) }).instances
  assert.equal(needed(60_000), 12) // (4000 + 90,000 / 180) / (500 × 0.8) = 11.25
  assert.equal(needed(600_000), 12)
})

test('decide goes up in steps, and only after up.afterMs of load', () => {
  const policy = policyOf({ max: 100, up: { afterMs: 3000, step: 2, factor: 2 } })
  const high = { demand: 40_000, trueRate: 500, busy: 1 }
  assert.equal(decideOf({ policy, window: steady(high, 5) }).instances, 3)
  assert.equal(decideOf({ policy, window: steady(high, 5), instances: 5 }).instances, 10)
  const justNow = [...steady({ demand: 100, trueRate: 500 }, 5), sampleOf({ ...high, atMs: 1_000_000 })]
  assert.equal(decideOf({ policy, window: justNow }).instances, 1)
  assert.equal(decideOf({ policy, window: steady(high, 0) }).instances, 1, 'known for a moment only')
})

test('decide goes down only with a complete window that needs fewer throughout, and after the cool-down', () => {
  const policy = policyOf({ max: 100, down: { afterMs: 10_000, coolDownMs: 5000, step: 2, factor: 1 } })
  const low = { demand: 100, trueRate: 500, instances: 8 }
  const decideAt = (window: LoadSample[], changedAtMs = 0) =>
    decideOf({ policy, window, instances: 8, changedAtMs })
  assert.equal(decideAt(steady(low, 12)).instances, 6)
  assert.equal(decideAt(steady(low, 5)).instances, 8, 'not known for long enough')
  const late = steady({ ...low, backlog: 5000 }, 12)
  assert.equal(decideAt(late).instances, 8, 'it is behind all the same')
  const once = steady(low, 12).map((sample, i) => (i === 6 ? { ...sample, demand: 3000 } : sample))
  assert.equal(decideAt(once).instances, 8, 'it was needed once')
  const { instances, because } = decideAt(steady(low, 12), 997_000)
  assert.equal(instances, 8)
  assert.match(because, /the last change was 3 s ago, and 'down.coolDownMs' is 5 s/)
})

test('decide follows cpu, records per second, p99, backlog and metrics of the function', () => {
  const of = (targets: ScalePolicyInput['targets'], load: Partial<LoadSample>) =>
    decideOf({
      policy: policyOf({ max: 50, targets, up: { step: 50 } }),
      instances: 2,
      window: steady({ instances: 2, demand: 100, ...load }, 5),
    })
  assert.equal(of({ cpu: 0.5 }, { cpu: 1.9 }).instances, 4)
  assert.equal(of({ recordsPerSecond: 10 }, {}).instances, 10)
  assert.equal(of({ backlog: 100 }, { backlog: 450 }).instances, 5)
  assert.equal(of({ p99Ms: 10 }, { p99Ms: 30 }).instances, 6)
  assert.equal(of({ p99Ms: 10 }, { p99Ms: 10.9 }).instances, 2, 'within a tenth')
  const metric = { name: 'pages', value: 20 }
  assert.equal(of({ metric }, { metric: { kind: 'count', value: 90 } }).instances, 5)
  assert.equal(of({ metric }, { metric: { kind: 'observe', value: 40 } }).instances, 4)
  assert.match(
    of({ metric }, { metric: { kind: 'observe', value: 40 } }).because,
    /pages is 40 on average, target 20/,
  )
  assert.equal(of({ cpu: 0.5, recordsPerSecond: 10 }, { cpu: 2 }).instances, 10, 'the greatest counts')
})

test('decide goes to zero after enough idle time without a set timer, and back at once', () => {
  const policy = policyOf({ min: 0, max: 4, idle: { afterMs: 5000 } })
  assert.equal(decideOf({ policy, window: steady({}, 6) }).instances, 0)
  assert.equal(decideOf({ policy, window: steady({}, 3) }).instances, 1)
  assert.equal(decideOf({ policy, window: steady({ timers: 1 }, 6) }).instances, 1)
  assert.equal(decideOf({ policy, window: steady({ demand: 1 }, 6) }).instances, 1)
  assert.equal(decideOf({ policy, window: steady({}, 6), instances: 0 }).instances, 0)
  const first = [...steady({}, 6), sampleOf({ backlog: 1, atMs: 1_000_000 })]
  const back = decideOf({ policy, window: first, instances: 0, changedAtMs: 999_999 })
  assert.deepEqual(back, { instances: 1, because: 'records wait, and nobody is there' })
  assert.equal(decideOf({ policy: policyOf({ max: 4 }), window: steady({}, 400) }).instances, 1, 'min is 1')
})

test('decide never exceeds the number of partitions, and says so', () => {
  const policy = policyOf({ max: 100, up: { step: 100 } })
  const window = steady({ demand: 40_000, trueRate: 500 }, 5)
  const { instances, because } = decideOf({ policy, window, partitions: 16 })
  assert.equal(instances, 16)
  assert.match(because, /at most 16, by its inputs have 16 partitions|at most 16/)
})

test('boundsAt applies entries of the schedule from their times on, in their time zones', () => {
  const policy = policyOf({
    min: 1,
    max: 4,
    schedule: [
      { cron: '0 8 * * 1-5', forMs: 10 * 3_600_000, min: 3, timeZone: 'Europe/Zurich' },
      { cron: '0 12 * * *', forMs: 3_600_000, max: 10 },
    ],
  })
  const at = (text: string) => boundsAt(policy, Date.parse(text))
  assert.deepEqual(at('2026-01-30T06:59:59Z'), { min: 1, max: 4 }) // a Friday
  assert.deepEqual(at('2026-01-30T07:00:00Z'), { min: 3, max: 4, because: "the schedule '0 8 * * 1-5'" })
  assert.equal(at('2026-01-30T12:30:00Z').max, 10)
  assert.equal(at('2026-01-30T16:59:59Z').min, 3)
  assert.equal(at('2026-01-30T17:00:00Z').min, 1)
  assert.equal(at('2026-01-31T10:00:00Z').min, 1)
})

const anyLoad = fc
  .record({
    demand: fc.double({ min: 0, max: 1e6, noNaN: true }),
    backlog: fc.integer({ min: 0, max: 1e7 }),
    trueRate: fc.option(fc.double({ min: 0.1, max: 1e6, noNaN: true }), { nil: undefined }),
    cpu: fc.double({ min: 0, max: 50, noNaN: true }),
    p99Ms: fc.option(fc.double({ min: 0.01, max: 1e5, noNaN: true }), { nil: undefined }),
    timers: fc.integer({ min: 0, max: 2 }),
    instances: fc.integer({ min: 0, max: 50 }),
  })
  .map(({ trueRate, p99Ms, ...load }) => ({
    ...load,
    ...(trueRate !== undefined && { trueRate }),
    ...(p99Ms !== undefined && { p99Ms }),
  }))
const anyPace = fc.record({
  afterMs: fc.integer({ min: 0, max: 30_000 }),
  coolDownMs: fc.integer({ min: 0, max: 30_000 }),
  step: fc.integer({ min: 1, max: 10 }),
  factor: fc.double({ min: 1, max: 4, noNaN: true }),
})
const anyPolicy = fc
  .record({
    min: fc.integer({ min: 0, max: 5 }),
    more: fc.integer({ min: 1, max: 40 }),
    up: anyPace,
    down: anyPace,
    targets: fc.constantFrom<ScalePolicyInput['targets']>(
      { behindMs: 1000 },
      { cpu: 0.5 },
      { backlog: 100, recordsPerSecond: 500 },
      { p99Ms: 20, behindMs: 500 },
    ),
  })
  .map(({ min, more, ...rest }) => policyOf({ min, max: min + more, ...rest }))

test('decide stays within the bounds, and within a step (A2)', () => {
  fc.assert(
    fc.property(
      anyPolicy,
      fc.array(anyLoad, { maxLength: 40 }),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 60_000 }),
      (policy, loads, instances, sinceMs) => {
        const nowMs = 1_000_000
        const window = loads.map((load, i) =>
          sampleOf({ ...load, atMs: nowMs - (loads.length - 1 - i) * 1000 }),
        )
        const answer = decide({ policy, window, instances, changedAtMs: nowMs - sinceMs, nowMs })
        assert.ok(answer.instances >= policy.min && answer.instances <= policy.max)
        assert.ok(answer.because.length > 0)
        if (instances < Math.max(1, policy.min) || instances > policy.max) return
        const { up, down } = policy
        assert.ok(answer.instances <= Math.max(instances + up.step, instances * up.factor))
        const toZero = answer.instances === 0
        assert.ok(
          toZero || answer.instances >= Math.min(instances - down.step, Math.ceil(instances / down.factor)),
        )
      },
    ),
  )
})

test('decide never gives fewer for a larger load (A3)', () => {
  fc.assert(
    fc.property(
      anyPolicy,
      fc.array(anyLoad, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 0, max: 40 }),
      fc.double({ min: 1, max: 5, noNaN: true }),
      (policy, loads, instances, times) => {
        const nowMs = 1_000_000
        const at = (factor: number) =>
          decide({
            policy,
            instances,
            changedAtMs: 0,
            nowMs,
            window: loads.map((load, i) =>
              sampleOf({
                ...load,
                demand: load.demand * factor,
                backlog: Math.ceil(load.backlog * factor),
                cpu: load.cpu * factor,
                atMs: nowMs - (loads.length - 1 - i) * 1000,
              }),
            ),
          }).instances
        assert.ok(at(times) >= at(1))
      },
    ),
  )
})

/** Uniform from 0.8 to 1.2, the same for the same seed. */
function noiseOf(seed: number): () => number {
  let state = (seed | 1) >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return 0.8 + (0.4 * state) / 2 ** 32
  }
}

test('decide does not flap on a steady load with 20 % noise, whatever the load', () => {
  fc.assert(
    fc.property(fc.double({ min: 50, max: 20_000, noNaN: true }), fc.nat(), (load, seed) => {
      const policy = policyOf({ max: 64, down: { afterMs: 30_000, coolDownMs: 0 } })
      const noise = noiseOf(seed)
      const trueRate = 500
      let [instances, changedAtMs, backlog] = [1, 0, 0]
      const window: LoadSample[] = []
      const changes: number[] = []
      for (let second = 1; second <= 600; second++) {
        const demand = load * noise()
        const processed = Math.min(instances * trueRate, backlog + demand)
        backlog = Math.max(0, backlog + demand - processed)
        const nowMs = second * 1000
        window.push(sampleOf({ atMs: nowMs, instances, demand, backlog, processed, trueRate }))
        if (window.length > 64) window.shift()
        const next = decide({ policy, window, instances, changedAtMs, nowMs }).instances
        if (next === instances) continue
        if (second > 60) changes.push(next - instances)
        instances = next
        changedAtMs = nowMs
      }
      assert.ok(instances * trueRate >= load, 'it is enough')
      assert.equal(new Set(changes.map(Math.sign)).size <= 1, true, `back and forth: ${changes.join(', ')}`)
      assert.ok(changes.length <= 4, `${changes.join(', ')}`)
    }),
    { numRuns: 100 },
  )
})
