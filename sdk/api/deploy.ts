/**
 * DeployApi: the parameters of a deploy besides its upload, and its answer.
 * @module
 */
import { z } from 'zod'
import { instancesSchema, nameSchema } from '../manifest/manifest.ts'
import { gateReportSchema } from '../versions/gate.ts'
import { movedPartitionSchema } from './moved.ts'

/** Answer of a deploy. */
export const deployAnswerSchema = z.object({
  name: nameSchema,
  /** The version that is wanted now. */
  version: z.int(),
  bundleSha256: z.string(),
  bundleBytes: z.int(),
  /** False if the same bundle, manifest and assets were live already. */
  changed: z.boolean(),
  /** The gate's findings; absent: the version was not judged. */
  gate: gateReportSchema.optional(),
  /** Nothing was deployed: `changed` says whether it would have been a new version. */
  dryRun: z.literal(true).optional(),
  /**
   * It has a `migrate`. Until the version is kept, a rollback discards what `migrate` did to state; afterwards no
   * rollback is possible.
   */
  migrates: z.literal(true).optional(),
  /** Its `migrate` will be given state that this version's `migrate` has made. */
  migratesAfter: z.int().optional(),
  /** Sizes that were set by hand and are kept, because the manifest's own values have not changed. */
  byHand: z
    .array(z.object({ what: z.enum(['cpus', 'memMib', 'diskMib']), is: z.number(), manifest: z.number() }))
    .optional(),
  /** Settings left out that fall back to their default: as in `resources.memMib`, `512`, `256`. */
  reset: z.array(z.object({ what: z.string(), was: z.string(), is: z.string() })).optional(),
  /** Partitions moved by hand that will not stay there: the instances are replaced. */
  lapsed: z.array(movedPartitionSchema).optional(),
  /** So many of the wanted instances get no records, because there are fewer partitions. */
  idle: z.int().optional(),
  /** A version whose rollout this deploy ends, and how far it had come, as in `was a canary, at step 2`. */
  left: z.object({ version: z.int(), how: z.string() }).optional(),
})
export type DeployAnswer = z.output<typeof deployAnswerSchema>

/** Who does it, by their own statement, and why. */
const said = { author: z.string().max(200).optional(), message: z.string().max(1000).optional() }

/** The parameters of a deploy besides its upload. */
export const deployQuerySchema = z.object({
  ...said,
  /**
   * The number of instances. Absent: a count changed by hand stays as long as the manifest's count does not change.
   */
  instances: z.coerce.number().pipe(instancesSchema).optional(),
})

export const rollbackSchema = z.strictObject({
  /** Default: the last earlier version that ran and was not rolled back from. */
  to: z.int().min(1).optional(),
  /** Drain the instances and start others, even if the version could be swapped in place. */
  drain: z.boolean().default(false),
  ...said,
})
export type RollbackRequest = z.input<typeof rollbackSchema>
