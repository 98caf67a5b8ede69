/**
 * Scaling: the number of instances of a function in the API.
 * @module
 */
import * as z from 'zod'
import { instancesSchema, nameSchema } from '../manifest/manifest.ts'
import { scaleSettingsSchema } from '../scaling/policy.ts'

/** A number of instances, or `auto` for the function's policy. */
export const scaleSchema = z.union([
  z.strictObject({ instances: instancesSchema }),
  z.strictObject({ auto: z.literal(true) }),
])

/** `pinned`: a person has set the number, and the function's policy rests until `auto`. */
export const scaleAnswerSchema = z.object({
  instances: z.int(),
  pinned: z.boolean(),
})
export type ScaleAnswer = z.output<typeof scaleAnswerSchema>

/** A sample of a function's load. */
const loadSampleSchema = z.object({
  atMs: z.number(),
  instances: z.int(),
  demand: z.number(),
  backlog: z.number(),
  inFlight: z.number(),
  processed: z.number(),
  trueRate: z.number().optional(),
  startMs: z.number().optional(),
  busy: z.number(),
  cpu: z.number(),
  p99Ms: z.number().optional(),
  metric: z.object({ kind: z.enum(['count', 'observe']), value: z.number() }).optional(),
  timers: z.number(),
  predicted: z.number().optional(),
})

/** Why a function has as many instances as it has. */
export const scalingSchema = z.object({
  name: nameSchema,
  instancesWanted: z.int(),
  instancesRunning: z.int(),
  /** Absent: the function has no policy, and keeps the number that was set. */
  policy: scaleSettingsSchema.optional(),
  pinned: z.boolean(),
  /** The latest changes by the policy, and by people, oldest first. */
  changes: z.array(z.object({ atMs: z.number(), from: z.int(), to: z.int(), because: z.string() })),
  /** The scheduler's last look, written every ten seconds; absent before the first. */
  latest: z
    .object({ atMs: z.number(), instances: z.int(), because: z.string(), load: loadSampleSchema })
    .optional(),
})
export type Scaling = z.output<typeof scalingSchema>
