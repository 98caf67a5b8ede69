/**
 * Shadow: the findings about a version that gets copies of the live version's records, and whose outputs are thrown
 * away.
 *
 *   SD1. `records` are all that the live version finished meanwhile: the compared ones, and the `missed` ones by
 *        reason. None is left out silently.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type { ShadowEvidence } from './shadow-schema.ts'

export type {
  ShadowDifference,
  ShadowEvidence,
  ShadowOutput,
  ShadowResult,
  ShadowSide,
  ShadowView,
} from './shadow-schema.ts'

/** The first records of each instance are not timed, because its code is not compiled yet. */
export const untimedRecords = 1_000

/** The most examples kept, of one instance and of all together. */
export const examplesMax = 3

export function noShadowEvidence(): ShadowEvidence {
  return {
    ...{ records: 0, compared: 0, different: 0, timed: 0, listed: 0 },
    missed: { notReady: 0, behind: 0, ended: 0 },
    timers: { compared: 0, different: 0 },
    failed: { live: 0, shadow: 0, both: 0 },
    outputs: { live: 0, shadow: 0 },
    ms: { live: 0, shadow: 0 },
    p99Us: { live: 0, shadow: 0 },
    examples: [],
  }
}

/** The findings of several instances together. */
export function sumOfShadows(all: readonly ShadowEvidence[]): ShadowEvidence {
  return all.reduce((sum, one) => {
    const { p99Us, examples } = sum
    const added = fieldwise(sum, one) as ShadowEvidence
    return {
      ...added,
      p99Us: {
        live: Math.max(p99Us.live, one.p99Us.live),
        shadow: Math.max(p99Us.shadow, one.p99Us.shadow),
      },
      examples: [...examples, ...one.examples].slice(0, examplesMax),
    }
  }, noShadowEvidence())
}

/** An instance's report on its shadow. */
export interface ShadowReport {
  readonly version: number
  readonly state: 'preparing' | 'working' | 'failed'
  readonly reason?: string
  readonly evidence: ShadowEvidence
}

/** The share of the compared records with equal outputs. */
export function matchRate({ compared, different }: Pick<ShadowEvidence, 'compared' | 'different'>): number {
  return compared === 0 ? 1 : (compared - different) / compared
}

/** The findings in one line. */
export function shadowSummary(evidence: ShadowEvidence): string {
  const { records, compared, different, failed } = evidence
  const missed = records - compared
  return [
    `${compared} records compared, ${different} differ${compared === 0 ? '' : ` (match ${percentText(matchRate(evidence))})`}`,
    `${failed.shadow} failed in the shadow alone, ${failed.live} in the live version alone`,
    missed === 0 ? 'all were compared' : `${missed} of ${records} were not compared`,
  ].join('; ')
}

/** Never rounded up to 100 %, nor down to 0 %. */
export function percentText(share: number): string {
  const text = (share * 100).toFixed(2)
  if (share < 1 && text === '100.00') return '99.99+ %'
  if (share > 0 && text === '0.00') return '< 0.01 %'
  return `${text} %`
}

type Numbers = { [key: string]: number | Numbers | unknown[] }

/** The sums of the numbers, field by field. */
function fieldwise(one: object, other: object): Numbers {
  const [a, b] = [one as Numbers, other as Numbers]
  return Object.fromEntries(
    Object.entries(a).map(([field, value]) => {
      if (typeof value === 'number') return [field, value + (b[field] as number)]
      return [field, Array.isArray(value) ? value : fieldwise(value, b[field] as Numbers)]
    }),
  )
}
