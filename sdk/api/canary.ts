/**
 * CanaryView: a canary as the API shows it.
 * @module
 */
import { z } from 'zod'
import { shadowEvidenceSchema } from '../versions/shadow.ts'

const canarySideSchema = z.object({
  records: z.int(),
  /** Of the canary: where the version before did not fail. */
  errors: z.int(),
  outputs: z.int(),
  /** Processing time of the records that were timed, in all. */
  ms: z.number(),
})

/** A version that has a part of the keys, beside as many others of the version before (docs/design/0026-rollouts.md). */
export const canarySchema = z.object({
  version: z.int(),
  /** The version that has all other keys. */
  from: z.int(),
  step: z.int(),
  steps: z.array(z.number()),
  percent: z.number(),
  sinceMs: z.number(),
  bakeMs: z.int(),
  /** Records of its own that a step needs. */
  minRecords: z.int().optional(),
  /** What was found at each step before. */
  passed: z.array(z.string()),
  /** Instances that are still without it, and why, in sentences: the step does not end before they have it. */
  waitsFor: z.array(z.string()),
  /** Of the present step. */
  canary: canarySideSchema,
  control: canarySideSchema,
  /** Microseconds a record, at the 99th percentile of the windows. */
  canaryP99Us: z.number(),
  controlP99Us: z.number(),
  /** Windows in which both were timed, and in how many of them the canary took longer than its rules allow. */
  windows: z.int(),
  slower: z.int(),
  /** What its version makes of the control's records, with `rollout.canary.maxDiff`; `live` is the version before. */
  diff: shadowEvidenceSchema.optional(),
})
export type CanaryView = z.output<typeof canarySchema>
