/**
 * Shadow: what is found of a version that is given the records of the one at work, and answers nobody.
 *
 *   SD1. `records` are all that the version at work was done with meanwhile: those compared, and those `missed` by what they were
 *        missed for. Nothing is left out silently.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import { z } from 'zod'

/** Bytes as text where they are text, as everywhere in the API. */
const bytesShape = {
  key: z.string().optional(),
  keyBase64: z.string().optional(),
  value: z.string().optional(),
  valueBase64: z.string().optional(),
}

export const shadowOutputSchema = z.object({ stream: z.string(), ...bytesShape, timeMs: z.number() })
export type ShadowOutput = z.output<typeof shadowOutputSchema>

/** What one of both versions made of a record. */
export const shadowSideSchema = z.object({
  outputs: z.array(shadowOutputSchema),
  /** It threw, and so put nothing out. */
  error: z.string().optional(),
})
export type ShadowSide = z.output<typeof shadowSideSchema>

/** A record for which the two differ; or, without a place, the timers of one moment. */
export const shadowDifferenceSchema = z.object({
  stream: z.string().optional(),
  partition: z.int().optional(),
  producer: z.string().optional(),
  sequence: z.int().optional(),
  ...bytesShape,
  /** Of timers: the platform's time at which they ran. */
  timersAtMs: z.number().optional(),
  /** The version at work. */
  live: shadowSideSchema,
  shadow: shadowSideSchema,
  /** It was too large to be kept whole: outputs are missing, or cut. */
  cut: z.literal(true).optional(),
})
export type ShadowDifference = z.output<typeof shadowDifferenceSchema>

/** Of the records compared: what the two versions came to. */
const pairSchema = z.object({ live: z.number(), shadow: z.number() })

export const shadowEvidenceSchema = z.object({
  records: z.int(),
  compared: z.int(),
  different: z.int(),
  missed: z.object({
    /** The shadow was not made yet, or had no state. */
    notReady: z.int(),
    /** It could not keep up. */
    behind: z.int(),
    /** It had ended. */
    ended: z.int(),
  }),
  /** Moments at which timers ran in either, and at how many of them something else came of it. */
  timers: z.object({ compared: z.int(), different: z.int() }),
  /** Records that only one of both failed at, and that both did. */
  failed: pairSchema.extend({ both: z.int() }),
  outputs: pairSchema,
  /** Records that were timed, and milliseconds that they took. */
  timed: z.int(),
  ms: pairSchema,
  /** Microseconds a record, at the 99th percentile of calls. */
  p99Us: pairSchema,
  /** Differences that are written down. */
  listed: z.int(),
  examples: z.array(shadowDifferenceSchema),
})
export type ShadowEvidence = z.output<typeof shadowEvidenceSchema>

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

/** What is kept of a shadow when it is over, in the version's outcome. */
export const shadowResultSchema = z.object({
  /** The version that it was beside. */
  from: z.int(),
  sinceMs: z.number(),
  untilMs: z.number(),
  /** Instances that had one, of how many. */
  instances: z.int(),
  instancesOf: z.int(),
  evidence: shadowEvidenceSchema,
})
export type ShadowResult = z.output<typeof shadowResultSchema>

/** A shadow as the API shows it: while it is beside, and ever after. */
export const shadowViewSchema = shadowResultSchema.extend({
  name: z.string(),
  version: z.int(),
  /** `over`: its time has come to an end, or another version was wanted. */
  state: z.enum(['working', 'over', 'failed']),
  /** How long it is to be beside. */
  bakeMs: z.int(),
  /** Why it has failed, or what was found in a line. */
  reason: z.string().optional(),
})
export type ShadowView = z.output<typeof shadowViewSchema>

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
