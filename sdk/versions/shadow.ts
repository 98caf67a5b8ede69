/**
 * Shadow: what is found of a version that is given the records of the one at work, and answers nobody.
 *
 *   SD1. `records` are all that the version at work was done with meanwhile: those compared, and those `missed` by what they were
 *        missed for. Nothing is left out silently.
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

/** The first records in each instance are not timed: its code is not compiled yet. */
export const untimedRecords = 1_000

/** Of the sum of all instances, and of one. */
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

/** What several instances have found, together. */
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

/** What an instance says of its shadow. */
export interface ShadowReport {
  readonly version: number
  readonly state: 'preparing' | 'working' | 'failed'
  readonly reason?: string
  readonly evidence: ShadowEvidence
}

/** Share of the records compared that both made the same of. */
export function matchRate({ compared, different }: Pick<ShadowEvidence, 'compared' | 'different'>): number {
  return compared === 0 ? 1 : (compared - different) / compared
}

/** What was found, in a line. */
export function shadowSummary(evidence: ShadowEvidence): string {
  const { records, compared, different, failed } = evidence
  const missed = records - compared
  return [
    `${compared} records compared, ${different} differ${compared === 0 ? '' : ` (match ${percentText(matchRate(evidence))})`}`,
    `${failed.shadow} failed in the shadow alone, ${failed.live} in the live version alone`,
    missed === 0 ? 'all were compared' : `${missed} of ${records} were not compared`,
  ].join('; ')
}

/** Never rounded up to all, nor down to none. */
export function percentText(share: number): string {
  const text = (share * 100).toFixed(2)
  if (share < 1 && text === '100.00') return '99.99+ %'
  if (share > 0 && text === '0.00') return '< 0.01 %'
  return `${text} %`
}

type Numbers = { [key: string]: number | Numbers | unknown[] }

/** The numbers of both, field by field. */
function fieldwise(one: object, other: object): Numbers {
  const [a, b] = [one as Numbers, other as Numbers]
  return Object.fromEntries(
    Object.entries(a).map(([field, value]) => {
      if (typeof value === 'number') return [field, value + (b[field] as number)]
      return [field, Array.isArray(value) ? value : fieldwise(value, b[field] as Numbers)]
    }),
  )
}
