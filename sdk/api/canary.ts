/**
 * CanaryView: a canary as the API shows it.
 * @module
 */
import * as z from 'zod'
import { shadowEvidenceSchema } from '../versions/shadow-schema.ts'

const canarySideSchema = z.object({
  records: z.int(),
  /** For the canary: only records at which the version before did not fail. */
  errors: z.int(),
  outputs: z.int(),
  /** Total processing time of the records that were timed. */
  ms: z.number(),
})

/** A version that has a share of the keys, with as many others as its control (docs/design/0026-rollouts.md). */
export const canarySchema = z.object({
  version: z.int(),
  /** The version that has all other keys. */
  from: z.int(),
  step: z.int(),
  steps: z.array(z.number()),
  percent: z.number(),
  sinceMs: z.number(),
  bakeMs: z.int(),
  /** The records that the canary must process in a step. */
  minRecords: z.int().optional(),
  /** The share of its records that may fail where the version before does not. */
  maxErrors: z.number().optional(),
  /** The findings of each earlier step. */
  passed: z.array(z.string()),
  /** Instances that do not have the canary yet, and why, in sentences: the step does not end before they have it. */
  waitsFor: z.array(z.string()),
  /** In the present step. */
  canary: canarySideSchema,
  control: canarySideSchema,
  /** Microseconds a record, at the 99th percentile of the windows. */
  canaryP99Us: z.number(),
  controlP99Us: z.number(),
  /** Windows in which both versions were timed, and in how many the canary was slower than its rules allow. */
  windows: z.int(),
  slower: z.int(),
  /**
   * The comparison of outputs for the control's records, with `rollout.canary.maxDiff`; `live` is the version before.
   */
  diff: shadowEvidenceSchema.optional(),
})
export type CanaryView = z.output<typeof canarySchema>
