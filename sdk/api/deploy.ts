/**
 * DeployApi: what a deploy says beside its upload, and what it is answered.
 * @module
 */
import { z } from 'zod'
import { instancesSchema, nameSchema } from '../manifest/manifest.ts'
import { gateReportSchema } from '../versions/gate.ts'
import { homeSchema } from './homes.ts'

/** Answer of a deploy. */
export const deployAnswerSchema = z.object({
  name: nameSchema,
  /** That is wanted now. */
  version: z.int(),
  bundleSha256: z.string(),
  bundleBytes: z.int(),
  /** False if the very same bundle, manifest and assets were live already. */
  changed: z.boolean(),
  /** What the gate has found; absent: the version was not judged. */
  gate: gateReportSchema.optional(),
  /** Nothing was deployed: `changed` says whether it would have been a new version. */
  dryRun: z.literal(true).optional(),
  /** It has a `migrate`: until it is kept, going back takes along what it did to state; then nobody goes back. */
  migrates: z.literal(true).optional(),
  /** Its `migrate` is given what this version, whose `migrate` is another one or the same, has made of the state. */
  migratesAfter: z.int().optional(),
  /** Set by hand while it ran, and kept: the manifest says the same of it as the one before. */
  byHand: z
    .array(z.object({ what: z.enum(['cpus', 'memMib', 'diskMib']), is: z.number(), manifest: z.number() }))
    .optional(),
  /** Not said any more, so as it is by default: as in `resources.memMib`, `512`, `256`. */
  reset: z.array(z.object({ what: z.string(), was: z.string(), is: z.string() })).optional(),
  /** Partitions that were moved by hand, and no more: its instances are others. */
  lapsed: z.array(homeSchema).optional(),
  /** Of the instances that are wanted, so many get no records: its inputs have no more partitions. */
  idle: z.int().optional(),
  /** A version that was on its way, and comes no further: how far it had come, as in `was a canary, at step 2`. */
  left: z.object({ version: z.int(), how: z.string() }).optional(),
})
export type DeployAnswer = z.output<typeof deployAnswerSchema>

/** Who does it, as he says himself, and why. */
const said = { author: z.string().max(200).optional(), message: z.string().max(1000).optional() }

/** What a deploy says beside the upload. */
export const deployQuerySchema = z.object({
  ...said,
  /** So many instances, whatever it had; else a count that was changed by hand stays while the manifest's own does not change. */
  instances: z.coerce.number().pipe(instancesSchema).optional(),
})

export const rollbackSchema = z.strictObject({
  /** Default: the last version before the present that ran, and that nobody has gone back from. */
  to: z.int().min(1).optional(),
  /** End the instances in order and start others, even where versions could change in place. */
  drain: z.boolean().default(false),
  ...said,
})
export type RollbackRequest = z.input<typeof rollbackSchema>
