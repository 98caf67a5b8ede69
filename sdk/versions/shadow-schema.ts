/**
 * ShadowSchema: the shapes of the findings about a shadow. They are separate from shadow.ts, which is loaded without
 * zod by those who only show them.
 * @module
 */
import * as z from 'zod'

/** Bytes as text if they are UTF-8, as everywhere in the API. */
const bytesShape = {
  key: z.string().optional(),
  keyBase64: z.string().optional(),
  value: z.string().optional(),
  valueBase64: z.string().optional(),
}

const shadowOutputSchema = z.object({ stream: z.string(), ...bytesShape, timeMs: z.number() })
export type ShadowOutput = z.output<typeof shadowOutputSchema>

/** The outputs of one of the two versions for a record. */
const shadowSideSchema = z.object({
  outputs: z.array(shadowOutputSchema),
  /** It threw, so it has no outputs. */
  error: z.string().optional(),
})
export type ShadowSide = z.output<typeof shadowSideSchema>

/** A record for which the versions differ; without a place, the timers of one moment. */
export const shadowDifferenceSchema = z.object({
  stream: z.string().optional(),
  partition: z.int().optional(),
  producer: z.string().optional(),
  sequence: z.int().optional(),
  ...bytesShape,
  /** For timers: the platform's time at which they were called. */
  timersAtMs: z.number().optional(),
  /** The live version. */
  live: shadowSideSchema,
  shadow: shadowSideSchema,
  /** It was too large to be stored whole: outputs are missing or cut. */
  cut: z.literal(true).optional(),
})
export type ShadowDifference = z.output<typeof shadowDifferenceSchema>

/** A figure of each of the two versions. */
const pairSchema = z.object({ live: z.number(), shadow: z.number() })

/** The findings about a shadow, from the records that it got so far. */
export const shadowEvidenceSchema = z.object({
  records: z.int(),
  compared: z.int(),
  different: z.int(),
  missed: z.object({
    /** The shadow did not exist yet, or had no state. */
    notReady: z.int(),
    /** The shadow was too slow. */
    behind: z.int(),
    /** The shadow had ended. */
    ended: z.int(),
  }),
  /** Moments at which timers were called in either version, and how many of them had different outputs. */
  timers: z.object({ compared: z.int(), different: z.int() }),
  /** Records for which only one version failed, and for which both did. */
  failed: pairSchema.extend({ both: z.int() }),
  outputs: pairSchema,
  /** Records whose processing was timed, and the milliseconds that they took. */
  timed: z.int(),
  ms: pairSchema,
  /** Microseconds a record, at the 99th percentile of calls. */
  p99Us: pairSchema,
  /** Differences that were stored. */
  listed: z.int(),
  examples: z.array(shadowDifferenceSchema),
})
export type ShadowEvidence = z.output<typeof shadowEvidenceSchema>

/** What is stored about a shadow after its end, in the version's outcome. */
const shadowResultSchema = z.object({
  /** The version beside which it ran. */
  from: z.int(),
  sinceMs: z.number(),
  untilMs: z.number(),
  /** Instances that had the shadow, and how many there were. */
  instances: z.int(),
  instancesOf: z.int(),
  evidence: shadowEvidenceSchema,
})
export type ShadowResult = z.output<typeof shadowResultSchema>

/** A shadow as the API shows it, during its time and afterwards. */
export const shadowViewSchema = shadowResultSchema.extend({
  name: z.string(),
  version: z.int(),
  /** `over`: its time has ended, or another version was wanted. */
  state: z.enum(['working', 'over', 'failed']),
  /** How long it is to run. */
  bakeMs: z.int(),
  /** Why it failed, or a summary of the findings. */
  reason: z.string().optional(),
})
export type ShadowView = z.output<typeof shadowViewSchema>
