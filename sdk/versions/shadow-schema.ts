/**
 * ShadowSchema: the shapes of what is found of a shadow, apart from shadow.ts, which whoever shows them loads without zod.
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
