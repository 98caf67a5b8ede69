import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CanaryRules, canarySchema } from '../../../sdk/manifest/manifest.ts'
import {
  bucketsPerSide,
  type CanaryEvidence,
  type CanarySide,
  noEvidence,
} from '../../../sdk/versions/canary.ts'
import { noShadowEvidence } from '../../../sdk/versions/shadow.ts'
import { nextRandom } from '../../backoff.ts'
import { exceeds, judge, looks, rankZ, type Verdict } from './judge.ts'

const rules: CanaryRules = canarySchema.parse({ bakeMs: 20_000, metric: { name: 'score', per: 'value' } })

/** A seeded random number generator. */
class Dice {
  #seed: number

  constructor(seed: number) {
    this.#seed = seed
  }

  next(): number {
    const [random, seed] = nextRandom(this.#seed)
    this.#seed = seed
    return random
  }

  /** About normally distributed. */
  noise(): number {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += this.next()
    return sum
  }

  /** The number of hits in so many trials. */
  count(trials: number, chance: number): number {
    const mean = trials * chance
    if (trials > 50 && mean > 20 && mean < trials - 20)
      return Math.max(0, Math.min(trials, Math.round(mean + this.noise() * Math.sqrt(mean * (1 - chance)))))
    let hits = 0
    for (let i = 0; i < trials; i++) if (this.next() < chance) hits++
    return hits
  }
}

interface Traits {
  /** The share of records at which a side's version throws at random. */
  readonly errors: number
  readonly slowness: number
  readonly outputs: number
  /** The share of outputs that go to the stream of alerts; default a fifth. */
  readonly alerts?: number
  readonly metric: number
}

interface Scene {
  /** Records of a side in a second. */
  readonly rate: number
  /** How skewed the keys are: 0 not at all; at 1 one key may have a third of the records. */
  readonly skew: number
  /** How much windows differ by noise alone. */
  readonly jitter: number
  /** Share of records that bring an output. */
  readonly outputs: number
  /** The share of records at which both versions throw at random. */
  readonly flaky: number
}

/**
 * Simulates a step of a canary in strides of half a second; a slow stream's step lasts ten times as long, in longer
 * strides.
 * @returns The verdict, and when it was reached.
 */
function play(
  seed: number,
  scene: Scene,
  canary: Traits,
): { readonly verdict: Verdict; readonly seconds: number } {
  const dice = new Dice(seed)
  const sides = [
    sideOf(dice, scene, canary),
    sideOf(dice, scene, { errors: 0, slowness: 1, outputs: 1, metric: 1 }),
  ] as const
  let evidence: CanaryEvidence = noEvidence()
  let looked = 0
  const strideMs = scene.rate < 10 ? 2500 : 500
  for (let elapsedMs = strideMs; ; elapsedMs += strideMs) {
    for (const side of sides) side.step((scene.rate * strideMs) / 1000)
    let { windows, slower } = evidence
    for (let i = 0; i < strideMs / 250; i++) {
      // Noise of the machine: now and then everything takes three times as long, on either side.
      const timeOf = (slowness: number): number =>
        slowness * Math.exp(scene.jitter * dice.noise()) * (dice.next() < 0.1 ? 3 : 1)
      const slow = timeOf(canary.slowness)
      windows++
      if (slow > rules.maxSlowdown * timeOf(1)) slower++
    }
    evidence = { ...noEvidence(), canary: sides[0].seen, control: sides[1].seen, windows, slower }
    const look = Math.min(looks, Math.floor((elapsedMs / rules.bakeMs) * looks))
    const verdict = judge({ evidence, rules, elapsedMs, isLook: look > looked, isWhole: true })
    looked = Math.max(looked, look)
    if (verdict.kind !== 'wait') return { verdict, seconds: elapsedMs / 1000 }
  }
}

function sideOf(dice: Dice, scene: Scene, traits: Traits) {
  // Keys differ in frequency, in outputs for each record, and in the metric.
  const keys = Array.from({ length: 200 }, (_, i) => ({
    bucket: Math.floor(dice.next() * bucketsPerSide),
    weight: 1 / (i + 1) ** scene.skew,
    outputs: Math.min(1, scene.outputs * traits.outputs * Math.exp(scene.skew * dice.noise())),
    metric: traits.metric * Math.exp(scene.skew * dice.noise()),
  }))
  const total = keys.reduce((sum, { weight }) => sum + weight, 0)
  const buckets = Array.from({ length: bucketsPerSide }, (): [number, number, number, number] => [0, 0, 0, 0])
  const counts = { records: 0, errors: 0, outputs: 0, ms: 0 }
  const streams = {
    verdicts: new Array<number>(bucketsPerSide).fill(0),
    alerts: new Array<number>(bucketsPerSide).fill(0),
  }
  return {
    step(rate: number): void {
      for (const key of keys) {
        const mean = (rate * key.weight) / total
        const chances = Math.ceil(2 * mean)
        const records = chances === 0 ? 0 : dice.count(chances, mean / chances)
        const outputs = dice.count(records, key.outputs)
        const bucket = buckets[key.bucket]!
        bucket[0] += records
        bucket[1] += outputs
        const alerts = dice.count(outputs, traits.alerts ?? 0.2)
        streams.alerts[key.bucket]! += alerts
        streams.verdicts[key.bucket]! += outputs - alerts
        bucket[2] += records * key.metric
        bucket[3] += records
        counts.records += records
        counts.outputs += outputs
        counts.errors += dice.count(records, traits.errors + scene.flaky)
      }
    },
    get seen(): CanarySide {
      return { ...counts, buckets, streams }
    },
  }
}

const asBefore: Traits = { errors: 0, slowness: 1, outputs: 1, metric: 1 }
const scenes: readonly Scene[] = [
  { rate: 2000, skew: 0, jitter: 0.1, outputs: 1, flaky: 0 },
  { rate: 2000, skew: 1, jitter: 0.5, outputs: 0.3, flaky: 0.01 },
  { rate: 60, skew: 1, jitter: 1, outputs: 0.02, flaky: 0.02 },
  { rate: 3, skew: 0.5, jitter: 0.3, outputs: 0.5, flaky: 0.1 },
]

test('judge rejects fewer than one in a hundred good versions, with noise and skewed keys', () => {
  const plays = Number(process.env['CONCORD_JUDGE_PLAYS'] ?? 200)
  for (const [index, scene] of scenes.entries()) {
    let bad = 0
    for (let seed = 0; seed < plays; seed++)
      if (play(seed * 7919 + index, scene, asBefore).verdict.kind === 'bad') bad++
    assert.ok(bad <= plays / 100, `scene ${index}: ${bad} of ${plays}`)
  }
})

test('judge rejects a bad version within the step, with the reason', () => {
  const busy = scenes.slice(0, 2)
  const bad: readonly (readonly [string, Traits, RegExp])[] = [
    ['throws on 2 %', { ...asBefore, errors: 0.02 }, /it threw at \d+ of \d+ records/],
    ['3 times slower', { ...asBefore, slowness: 3 }, /more than 1.5 times as long/],
    ['half of the outputs', { ...asBefore, outputs: 0.5 }, /less than 0.75 \(minOutputs\)/],
    [
      'half of the alerts',
      { ...asBefore, alerts: 0.1 },
      /as many outputs to 'alerts' .*less than 0.75 \(minOutputs\)/,
    ],
    ['a metric three times as high', { ...asBefore, metric: 3 }, /metric 'score' is more than 1.5 times/],
  ]
  for (const [what, traits, why] of bad) {
    const scene = busy[0]!
    for (let seed = 0; seed < 100; seed++) {
      const { verdict, seconds } = play(seed, scene, traits)
      assert.equal(verdict.kind, 'bad', `${what}, seed ${seed}: ${verdict.why}`)
      assert.match(verdict.why, why)
      assert.ok(seconds <= rules.bakeMs / 1000)
    }
  }
})

test('judge names each stream that gets too many or too few outputs, also if it is the only one', () => {
  const side = (outputs: Readonly<Record<string, number>>): CanarySide => {
    const all = Object.values(outputs).reduce((sum, one) => sum + one, 0)
    const each = <T>(value: (bucket: number) => T) =>
      Array.from({ length: bucketsPerSide }, (_, i) => value(i))
    return {
      ...{ records: 100 * bucketsPerSide, errors: 0, outputs: all * bucketsPerSide, ms: 10 },
      buckets: each(() => [100, all, 0, 0]),
      streams: Object.fromEntries(Object.entries(outputs).map(([name, count]) => [name, each(() => count)])),
    }
  }
  const whyOf = (canary: CanarySide, control: CanarySide) =>
    judge({
      evidence: { ...noEvidence(), canary, control },
      rules,
      elapsedMs: 1,
      isLook: true,
      isWhole: true,
    }).why
  assert.match(
    whyOf(side({ verdicts: 90 }), side({ verdicts: 2 })),
    /^a record makes 45\.00 × as many outputs to 'verdicts' as with the version before, .* 1\.5 \(maxOutputs\) times as many$/,
  )
  const both = whyOf(side({ verdicts: 90, alerts: 1 }), side({ verdicts: 2, alerts: 10 }))
  assert.match(
    both,
    /^a record makes 45\.00 × .* to 'verdicts' .*; and 0\.10 × as many outputs to 'alerts' .*\(minOutputs\)/,
  )
  const added = whyOf(side({ verdicts: 100, more: 900 }), side({ verdicts: 100 }))
  assert.match(added, /^a record makes 10\.00 × as many outputs as with the version before/)
})

test('judge rejects a version whose outputs differ for more records than allowed, and no other', () => {
  const [none, fifth] = [canarySchema.parse({ maxDiff: 0 }), canarySchema.parse({ maxDiff: 0.2 })]
  const at = (compared: number, different: number, of: CanaryRules, elapsedMs = of.bakeMs) => {
    const side = { records: 1000, errors: 0, outputs: 1000, ms: 10, buckets: [], streams: {} }
    const diff = { ...noShadowEvidence(), records: compared, compared, different }
    const evidence = { ...noEvidence(), canary: side, control: side, diff }
    return judge({ evidence, rules: of, elapsedMs, isLook: false, isWhole: true })
  }
  assert.match(
    at(1000, 1, none).why,
    /^its outputs differ from those of the version before for 1 of 1000 records of other keys \(0\.10 %\)/,
  )
  assert.equal(at(1000, 0, none).kind, 'good')
  assert.equal(at(10, 4, fifth).kind, 'wait', 'few records are no proof')
  assert.equal(at(1000, 230, fifth).kind, 'good')
  assert.match(at(1000, 300, fifth).why, /20\.00 % are allowed \(rollout\.canary\.maxDiff\)/)
  const rare = at(20, 0, none)
  assert.deepEqual([rare.kind, /20 of the 500 records .* compared/.test(rare.why)], ['wait', true])
  assert.equal(at(20, 0, none, 10 * none.bakeMs).kind, 'good')
  // Versions that differ in exactly as many records as allowed, at each of 200 looks.
  const plays = 200
  let bad = 0
  for (let seed = 0; seed < plays; seed++) {
    const dice = new Dice(seed)
    for (let look = 1, different = 0; look <= 200; look++) {
      different += dice.count(20, 0.2)
      if (at(20 * look, different, fifth, 1).kind !== 'bad') continue
      bad++
      break
    }
  }
  assert.ok(bad <= plays / 100, `${bad} of ${plays}`)
})

test('judge waits for records, and rejects no version on few of them', () => {
  // The test itself fails by chance once in some thousand runs, so the seeds are fixed.
  for (let seed = 0; seed < 100; seed++) {
    const { verdict } = play(seed, { rate: 0.2, skew: 0, jitter: 0.1, outputs: 1, flaky: 0.2 }, asBefore)
    assert.notEqual(verdict.kind, 'bad', `seed ${seed}: ${verdict.why}`)
  }
  const none = { evidence: noEvidence(), rules, isLook: true, isWhole: true }
  const soon = judge({ ...none, elapsedMs: 9 * rules.bakeMs })
  assert.equal(soon.kind, 'wait')
  assert.match(soon.why, /it has had 0 of the 500 records/)
  const late = judge({ ...none, elapsedMs: 10 * rules.bakeMs })
  assert.equal(late.kind, 'good')
  assert.match(
    late.why,
    /; on time alone: only 0 records of its own in \d+ s, .* 500 \(rollout\.canary\.minRecords\)/,
  )
})

test('judge ends no step whose windows were mostly slow, even if they are too few to reject it', () => {
  const side = { ...noEvidence().canary, records: 1000 }
  const slow = { ...noEvidence(), canary: side, control: side, windows: 9, slower: 5 }
  const judged = { evidence: slow, rules, elapsedMs: rules.bakeMs, isLook: true, isWhole: true }
  const { kind, why } = judge(judged)
  assert.deepEqual([kind, why], ['wait', 'it was slower than allowed in 5 of 9 windows'])
  const few = judge({ ...judged, evidence: { ...slow, slower: 4 } })
  assert.equal(few.kind, 'good')
  assert.doesNotMatch(few.why, /chance/)
  const late = judge({ ...judged, elapsedMs: 10 * rules.bakeMs })
  assert.equal(late.kind, 'good')
  assert.match(
    late.why,
    /slower than allowed in 5 of 9 windows .*; it passes although slower in most windows: 5 of 9 may be chance, and .* waited \d+ s/,
  )
  assert.equal(judge({ ...judged, evidence: { ...slow, windows: 40, slower: 40 } }).kind, 'bad')
})

test('judge ends no step with more errors than allowed that the control has not, and rejects it on more records', () => {
  const side = (records: number, errors: number) => ({ ...noEvidence().canary, records, errors })
  const at = (failed: number, others: number, elapsedMs = rules.bakeMs) => {
    const evidence = { ...noEvidence(), canary: side(752, failed), control: side(752, others) }
    return judge({ evidence, rules, elapsedMs, isLook: true, isWhole: true })
  }
  const open =
    '0.8 % of its records failed, 0.1 % allowed (rollout.canary.maxErrors); of the control 0 of 752'
  const early = at(6, 0)
  assert.deepEqual([early.kind, early.why], ['wait', open])
  const late = at(6, 0, 10 * rules.bakeMs)
  assert.equal(late.kind, 'good')
  const waited = 'and the step has waited 200 s for more records'
  assert.ok(late.why.includes(`; it passes although ${open}: that may be chance, ${waited}`), late.why)
  const both = at(6, 6)
  assert.equal(both.kind, 'good', 'the control fails as often')
  assert.match(both.why, /of the control 6 of 752: that may be chance$/)
  assert.doesNotMatch(at(0, 0).why, /maxErrors/)
  // One record in a hundred, at some tens of records a second.
  const slow: Scene = { rate: 25, skew: 0, jitter: 0.1, outputs: 1, flaky: 0 }
  for (let seed = 0; seed < 100; seed++) {
    const { verdict, seconds } = play(seed, slow, { ...asBefore, errors: 0.01 })
    assert.equal(verdict.kind, 'bad', `seed ${seed}, after ${seconds} s: ${verdict.why}`)
    assert.match(verdict.why, /it threw at \d+ of \d+ records/)
  }
})

test('judge looks at outputs and the metric of a slow stream too, when its step is about to end', () => {
  const slow: Scene = { rate: 2, skew: 0, jitter: 0.1, outputs: 1, flaky: 0 }
  const bad: readonly (readonly [Traits, RegExp])[] = [
    [{ ...asBefore, outputs: 0.1 }, /less than 0.75 \(minOutputs\)/],
    [{ ...asBefore, metric: 3 }, /metric 'score' is more than 1.5 times/],
  ]
  for (const [traits, why] of bad) {
    for (let seed = 0; seed < 30; seed++) {
      const { verdict, seconds } = play(seed, slow, traits)
      assert.equal(verdict.kind, 'bad', `seed ${seed}: ${verdict.why}`)
      assert.match(verdict.why, why)
      assert.ok(seconds > (3 * rules.bakeMs) / 1000, 'at its end')
    }
  }
})

test('judge ends no step well before all instances have reported, and looks once at its end', () => {
  const judged = { evidence: noEvidence(), rules, elapsedMs: 11 * rules.bakeMs, isLook: false }
  const { kind, why } = judge({ ...judged, isWhole: false })
  assert.deepEqual([kind, why], ['wait', 'not all instances have it yet'])
  assert.equal(judge({ ...judged, isWhole: true }).kind, 'good')
})

test('exceeds keeps its error bound for any number of looks', () => {
  let passed = 0
  for (let seed = 0; seed < 2000; seed++) {
    const dice = new Dice(seed)
    let hits = 0
    for (let trials = 1; trials <= 300; trials++) {
      if (dice.next() < 0.5) hits++
      if (trials % 10 === 0 && exceeds(hits, trials, 0.5)) {
        passed++
        break
      }
    }
  }
  assert.ok(passed <= 4, `${passed} of 2000; 1 is expected at most`)
  assert.equal(exceeds(20, 20, 0.5), true)
  assert.equal(exceeds(5, 5, 0.5), false)
  assert.equal(exceeds(1, 1_000_000, 0), true)
})

test('rankZ equals the Mann–Whitney statistic, corrected for ties', () => {
  assert.equal(rankZ([], [1]), 0)
  assert.equal(rankZ([1, 1], [1, 1]), 0)
  const apart = rankZ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
  assert.ok(Math.abs(apart + 2.611) < 0.001, String(apart))
  assert.equal(rankZ([6, 7], [1, 2]), -rankZ([1, 2], [6, 7]))
})
