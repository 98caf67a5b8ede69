/**
 * Judge: the verdict on a canary's evidence. Pure.
 *
 * A good version must not be rolled back by chance, however often it is looked at and however the keys are
 * distributed. So each rule rests on a test with a bounded error; all tests together are wrong in less than one
 * rollout in a hundred.
 *
 *   J1. Errors and slowness are judged by sequential tests (a mixture of likelihood ratios, Ville's inequality): the
 *       chance that a good version ever passes their bound is 1/`oddsMax`, however often it is looked at.
 *   J2. Outputs, in all and by stream, and the metric are judged by ranks of buckets of keys (sdk/versions/canary.ts,
 *       CA1), only at `looks` moments of a step and at its end.
 *   J3. Differences in the contents of outputs are judged by the same test as errors, over records that both versions
 *       were given (runner/canary/divergence.ts, DV1).
 *   J4. The rules state what is allowed: a test fails a version only for exceeding it.
 * Design: docs/design/0026-rollouts.md
 * @module
 */

import type { CanaryRules } from '../../../sdk/manifest/manifest.ts'
import { bucketsPerSide, type CanaryEvidence, type CanarySide } from '../../../sdk/versions/canary.ts'
import { differenceLine } from '../../../sdk/versions/difference-text.ts'
import { percentText } from '../../../sdk/versions/shadow.ts'

/** J1: the odds at which a sequential test rejects a version. */
const oddsMax = 2000
const chancesMixed = 400
/** J2: the deviate at which a rank test rejects a version; a chance of 1 in 10,000. */
const zMax = 3.72
/**
 * Added to `zMax` for the logarithm of the number of tests that share that chance. For 1 to 64 tests this is at least
 * what the normal distribution requires.
 */
const zMore = 0.24
/** The number of looks in a step's time (J2). */
export const looks = 4
/** A step waits for records for this many times its own duration; a version without records harms nobody. */
export const patience = 10
/**
 * If the canary has so many records and the control none, the chance is 1/`oddsMax` that the control's keys will ever
 * have any.
 */
const aloneMin = Math.ceil(Math.log2(oddsMax))
/** Buckets with fewer records on average are not judged. */
const bucketRecordsMin = 5

export type Verdict =
  | { readonly kind: 'good' | 'wait'; readonly why: string }
  | { readonly kind: 'bad'; readonly why: string }

export interface Judged {
  readonly evidence: CanaryEvidence
  readonly rules: CanaryRules
  readonly elapsedMs: number
  /** Whether this is one of the moments of J2. */
  readonly isLook: boolean
  /** Whether all instances have reported their evidence; otherwise no step ends well. */
  readonly isWhole: boolean
}

/**
 * @returns `bad` as soon as a test rejects the version; `good` when its time is over and nothing is missing; else
 *   `wait`, with what is missing.
 */
export function judge(judged: Judged): Verdict {
  const { evidence, rules, isLook } = judged
  const found = tooManyErrors(evidence, rules) ?? tooSlow(evidence, rules) ?? tooDifferent(evidence, rules)
  if (found !== undefined) return { kind: 'bad', why: found }
  const waitsFor = missing(judged)
  const other =
    isLook || waitsFor === undefined
      ? (otherStreams(evidence, rules) ?? otherOutputs(evidence, rules) ?? otherMetric(evidence, rules))
      : undefined
  if (other !== undefined) return { kind: 'bad', why: other }
  if (waitsFor !== undefined) return { kind: 'wait', why: waitsFor }
  return {
    kind: 'good',
    why: [
      ...[summaryOf(evidence), ...errorsByChance(judged)],
      ...[...slowByChance(judged), ...onTimeAlone(judged)],
    ].join('; '),
  }
}

/** What is missing before a step may end well. */
function missing({ evidence, rules, elapsedMs, isWhole }: Judged): string | undefined {
  const { canary, windows, slower } = evidence
  const { records } = canary
  const { bakeMs, minRecords } = rules
  if (elapsedMs < bakeMs) return `${Math.ceil((bakeMs - elapsedMs) / 1000)} s of this step are left`
  const isPatient = elapsedMs < patience * bakeMs
  if (records < minRecords && isPatient)
    return `it has had ${records} of the ${minRecords} records that a step needs`
  const compared = evidence.diff?.compared ?? 0
  if (rules.maxDiff !== undefined && compared < minRecords && isPatient)
    return `${compared} of the ${minRecords} records that a step needs have been compared`
  // Too few windows to call it slow, but most of them were.
  if (slower > windows / 2 && isPatient)
    return `it was slower than allowed in ${slower} of ${windows} windows`
  if (isErrorsOpen(evidence, rules) && isPatient) return errorsText(evidence, rules)
  return isWhole ? undefined : 'not all instances have it yet'
}

/**
 * Whether more records failed than are allowed, and the control does not make it likely that chance did it: no test
 * rejects the version yet (J1), so its step waits for more records.
 */
function isErrorsOpen({ canary, control }: CanaryEvidence, { maxErrors }: CanaryRules): boolean {
  const { records, errors } = canary
  if (errors <= maxErrors * records) return false
  const share = records / (records + control.records)
  return control.records === 0 || oddsOf(errors, errors + control.errors, share) > 1
}

function errorsText({ canary, control }: CanaryEvidence, { maxErrors }: CanaryRules): string {
  const { records, errors } = canary
  const allowed = `${percentOf(maxErrors)} allowed (rollout.canary.maxErrors)`
  return `${percentOf(errors / records)} of its records failed, ${allowed}; of the control ${control.errors} of ${control.records}`
}

/** A note for a step that passes although more failed than allowed: no test rejects it (J1). */
function errorsByChance({ evidence, rules }: Judged): string[] {
  const { errors, records } = evidence.canary
  if (errors <= rules.maxErrors * records) return []
  const waited = isErrorsOpen(evidence, rules)
    ? `, and the step has waited ${(patience * rules.bakeMs) / 1000} s for more records`
    : ''
  return [`it passes although ${errorsText(evidence, rules)}: that may be chance${waited}`]
}

function percentOf(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`
}

/** A note for a step that passes although slower in most windows: no test rejects it (J1), and it has waited for more. */
function slowByChance({ evidence: { windows, slower }, rules }: Judged): string[] {
  if (slower <= windows / 2) return []
  return [
    `it passes although slower in most windows: ${slower} of ${windows} may be chance, and the step has waited ${(patience * rules.bakeMs) / 1000} s for more of them`,
  ]
}

/** A note for a step that had fewer records than required, and ends because none came for long. */
function onTimeAlone({ evidence, rules }: Judged): string[] {
  const compared = rules.maxDiff === undefined ? Number.POSITIVE_INFINITY : (evidence.diff?.compared ?? 0)
  const records = Math.min(evidence.canary.records, compared)
  if (records >= rules.minRecords) return []
  const ofThem = compared < evidence.canary.records ? 'compared' : 'of its own'
  return [
    `on time alone: only ${records} records ${ofThem} in ${(patience * rules.bakeMs) / 1000} s, where a step needs ${rules.minRecords} (rollout.canary.minRecords)`,
  ]
}

/** The evidence in one line. */
export function summaryOf(evidence: CanaryEvidence): string {
  const { canary, control, canaryP99Us, controlP99Us, windows, slower, diff } = evidence
  const isEnough = Math.min(canary.records, control.records) >= bucketsPerSide * bucketRecordsMin
  const outputs = ratioText(perRecord(canary.outputs, canary), perRecord(control.outputs, control))
  return [
    `${canary.records} records, ${canary.errors} failed where the version before did not`,
    isEnough ? `outputs ${outputs}` : 'too few to compare outputs',
    windows === 0
      ? 'too few at a time to compare the time'
      : `slower than allowed in ${slower} of ${windows} windows (p99 ${us(canaryP99Us)} for ${us(controlP99Us)})`,
    ...(diff === undefined ? [] : [`${diff.different} of ${diff.compared} records compared differ`]),
  ].join('; ')
}

function tooManyErrors({ canary, control, example }: CanaryEvidence, rules: CanaryRules): string | undefined {
  const { records, errors } = canary
  if (errors === 0 || errors <= rules.maxErrors * records) return undefined
  // More than allowed …
  if (!exceeds(errors, records, rules.maxErrors)) return undefined
  // … and than the control, whose errors may be the same ones on other records. It may have had none by chance yet.
  if (control.records === 0 && records < aloneMin) return undefined
  const share = records / (records + control.records)
  if (control.records > 0 && !exceeds(errors, errors + control.errors, share)) return undefined
  const first = example === undefined ? '' : `; the first: ${example}`
  return `it threw at ${errors} of ${records} records (${percentOf(errors / records)}) at which the version before did not; ${percentOf(rules.maxErrors)} are allowed (rollout.canary.maxErrors)${first}`
}

function tooSlow(evidence: CanaryEvidence, rules: CanaryRules): string | undefined {
  const { windows, slower, canary, control, canaryP99Us, controlP99Us } = evidence
  if (!exceeds(slower, windows, 1 / 2)) return undefined
  const times = ratioText(perRecord(canary.ms, canary), perRecord(control.ms, control))
  return `it takes ${times} per record as the version before (p99 ${us(canaryP99Us)} for ${us(controlP99Us)}): in ${slower} of ${windows} windows more than ${rules.maxSlowdown} times as long (rollout.canary.maxSlowdown)`
}

function tooDifferent({ diff }: CanaryEvidence, { maxDiff }: CanaryRules): string | undefined {
  if (diff === undefined || maxDiff === undefined) return undefined
  const { different, compared, examples } = diff
  if (!exceeds(different, compared, maxDiff)) return undefined
  const share = percentText(different / compared)
  const first = examples[0] === undefined ? '' : `; the first: ${differenceLine(examples[0])}`
  return `its outputs differ from those of the version before for ${different} of ${compared} records of other keys (${share}); ${percentText(maxDiff)} are allowed (rollout.canary.maxDiff)${first}`
}

function otherOutputs({ canary, control }: CanaryEvidence, rules: CanaryRules): string | undefined {
  const { minOutputs, maxOutputs } = rules
  const of = (side: CanarySide) => ratesOf(side, ([records, outputs]) => [outputs, records])
  const found = outside(of(canary), of(control), minOutputs, maxOutputs)
  if (found === undefined) return undefined
  const times = ratioText(perRecord(canary.outputs, canary), perRecord(control.outputs, control))
  return `a record makes ${times} as many outputs as with the version before, ${ruleText(found, rules)}`
}

/**
 * The streams that get more or fewer outputs than allowed. Only streams that both versions write to count: a stream
 * that was added or removed was meant to be.
 */
function otherStreams({ canary, control }: CanaryEvidence, rules: CanaryRules): string | undefined {
  const { minOutputs, maxOutputs } = rules
  const names = Object.keys(control.streams).filter((name) => name in canary.streams)
  const wrong = names.flatMap((name) => {
    const of = (side: CanarySide) => {
      const outputs = side.streams[name]!.values()
      return ratesOf(side, ([records]) => [outputs.next().value ?? 0, records])
    }
    const found = outside(of(canary), of(control), minOutputs, maxOutputs, names.length)
    if (found === undefined) return []
    const sum = (side: CanarySide): number => side.streams[name]!.reduce((a, b) => a + b, 0)
    const times = ratioText(perRecord(sum(canary), canary), perRecord(sum(control), control))
    return [`${times} as many outputs to '${name}' as with the version before, ${ruleText(found, rules)}`]
  })
  return wrong.length === 0 ? undefined : `a record makes ${wrong.join('; and ')}`
}

function ruleText(found: 'less' | 'more', { minOutputs, maxOutputs }: CanaryRules): string {
  const rule = found === 'less' ? `${minOutputs} (minOutputs)` : `${maxOutputs} (maxOutputs)`
  return `in most buckets of keys ${found} than ${rule} times as many`
}

function otherMetric({ canary, control }: CanaryEvidence, { metric }: CanaryRules): string | undefined {
  if (metric === undefined) return undefined
  const of = (side: CanarySide) =>
    ratesOf(side, ([records, , sum, values]) => [sum, metric.per === 'value' ? values : records])
  const found = outside(of(canary), of(control), metric.min, metric.max)
  if (found === undefined) return undefined
  return `metric '${metric.name}' is ${found} than ${found === 'less' ? metric.min : metric.max} times that of the version before, in most buckets of keys (rollout.canary.metric)`
}

type Rate = readonly [sum: number, by: number]

function ratesOf(side: CanarySide, of: (bucket: CanarySide['buckets'][number]) => Rate): number[] {
  const rates = side.buckets.map(of).filter(([, by]) => by > 0)
  const total = rates.reduce((sum, [, by]) => sum + by, 0)
  return total < bucketRecordsMin * rates.length ? [] : rates.map(([sum, by]) => sum / by)
}

/**
 * Whether the canary's rates lie outside `min` to `max` times those of the control.
 * @param ofTests How many such tests make up one rule.
 */
function outside(
  canary: readonly number[],
  control: readonly number[],
  min: number,
  max: number,
  ofTests = 1,
): 'less' | 'more' | undefined {
  const scaled = (by: number): number[] => control.map((rate) => rate * by)
  const bound = zMax + zMore * Math.log(ofTests)
  if (rankZ(canary, scaled(min)) < -bound) return 'less'
  return rankZ(canary, scaled(max)) > bound ? 'more' : undefined
}

/** The Mann–Whitney rank sum as a standard normal deviate, corrected for ties; below 0 if `ones` are smaller. */
export function rankZ(ones: readonly number[], others: readonly number[]): number {
  const [m, n] = [ones.length, others.length]
  if (m === 0 || n === 0) return 0
  const all = [...ones, ...others].sort((a, b) => a - b)
  const ranks = new Map<number, number>()
  let ties = 0
  for (let i = 0; i < all.length; ) {
    let end = i
    while (end < all.length && all[end] === all[i]) end++
    ranks.set(all[i]!, (i + 1 + end) / 2)
    ties += (end - i) ** 3 - (end - i)
    i = end
  }
  const count = m + n
  const u = ones.reduce((sum, rate) => sum + ranks.get(rate)!, 0) - (m * (m + 1)) / 2
  const variance = ((m * n) / 12) * (count + 1 - ties / (count * (count - 1)))
  return variance <= 0 ? 0 : (u - (m * n) / 2) / Math.sqrt(variance)
}

/**
 * J1: whether `hits` in `trials` are too many for a chance of at most `share` each. The odds are those of a mixture
 * of `chancesMixed` greater chances, between `share` and 1, against `share`. If `share` is the true chance, they ever
 * exceed `oddsMax` with a chance of 1/`oddsMax` only.
 */
export function exceeds(hits: number, trials: number, share: number): boolean {
  return oddsOf(hits, trials, share) > oddsMax
}

function oddsOf(hits: number, trials: number, share: number): number {
  if (hits <= share * trials) return 0
  if (share <= 0) return Number.POSITIVE_INFINITY
  const misses = trials - hits
  const logOdds = (chance: number): number =>
    hits * Math.log(chance / share) + (misses === 0 ? 0 : misses * Math.log((1 - chance) / (1 - share)))
  let odds = 0
  for (let i = 0; i < chancesMixed; i++)
    odds += Math.exp(Math.min(700, logOdds(share ** (1 - (i + 0.5) / chancesMixed)))) / chancesMixed
  return odds
}

function perRecord(sum: number, { records }: CanarySide): number {
  return records === 0 ? 0 : sum / records
}

function ratioText(one: number, other: number): string {
  return other === 0 ? (one === 0 ? '1.00 ×' : 'infinitely ×') : `${(one / other).toFixed(2)} ×`
}

function us(value: number): string {
  return `${Number(value.toPrecision(3))} µs`
}
