/**
 * DeployApi: the parameters of a deploy besides its upload, and its answer.
 * @module
 */
import * as z from 'zod'
import { instancesSchema, nameSchema } from '../manifest/manifest.ts'
import { gateReportSchema } from '../versions/gate.ts'
import { flagQuery } from './flag.ts'
import { movedPartitionSchema } from './moved.ts'

/** The sizes of an instance that are set by a manifest or by hand. */
export const sizes = ['cpus', 'memMib', 'diskMib'] as const
export type Size = (typeof sizes)[number]

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
  byHand: z.array(z.object({ what: z.enum(sizes), is: z.number(), manifest: z.number() })).optional(),
  /** Settings left out that fall back to their default: as in `resources.memMib`, `512`, `256`. */
  reset: z.array(z.object({ what: z.string(), was: z.string(), is: z.string() })).optional(),
  /**
   * Assets that get other bytes: the version that brought those they have, and the one that had the new ones before, if
   * any.
   */
  replaced: z
    .array(
      z.object({
        asset: z.string(),
        had: z.object({ version: z.int(), author: z.string().optional(), message: z.string().optional() }),
        again: z.int().optional(),
      }),
    )
    .optional(),
  /** `resources.memMib` is less than state at its limit and the heap may need: the runner may be slowed down. */
  tight: z.object({ memMib: z.int(), enough: z.int() }).optional(),
  /** Partitions moved by hand that will not stay there: the instances are replaced. */
  lapsed: z.array(movedPartitionSchema).optional(),
  /** Its manifest asks for a canary, and it gets all keys at once: why. */
  noCanary: z.string().optional(),
  /** The same of a shadow. */
  noShadow: z.string().optional(),
  /** A version whose rollout this deploy ends, and how far it had come, as in `was a canary, at step 2`. */
  left: z.object({ version: z.int(), how: z.string() }).optional(),
})
export type DeployAnswer = z.output<typeof deployAnswerSchema>

/** Who does it, by their own statement, and why. */
export const annotations = {
  author: z.string().max(200).optional(),
  message: z.string().max(1000).optional(),
}

const fileName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/
const sizeNames = new RegExp(`^(${sizes.join('|')})(,(${sizes.join('|')}))*$`)

/** The parameters of a deploy besides its upload. */
export const deployQuerySchema = z.object({
  file: z
    .string()
    .regex(fileName, 'expected a plain file name')
    .optional()
    .describe('name of the source file in errors'),
  ...annotations,
  /** Absent: a count changed by hand stays as long as the manifest's count does not change. */
  instances: z.coerce
    .number()
    .pipe(instancesSchema)
    .optional()
    .describe('number of instances; by default as now, or as the manifest says if its number has changed'),
  drain: flagQuery.describe(
    'drain the instances and start new ones, even if the version could take over in place',
  ),
  /** Other sizes that were set by hand stay as long as the manifest's value does not change. */
  ownSizes: z
    .string()
    .regex(sizeNames, `expected ${sizes.join(', ')}, or several of them separated by commas`)
    .transform((text) => text.split(',') as readonly Size[])
    .optional()
    .describe(
      `resources to take from this manifest, even if they were set by hand: ${sizes.join(', ')}, separated by commas`,
    ),
  dryRun: flagQuery.describe('test it on recent records, beside the live version, and change nothing'),
  accept: flagQuery.describe('deploy even if the gate asks'),
})
export type DeployQuery = z.output<typeof deployQuerySchema>

/** What the caller says about a deploy besides its code and manifest; docs/reference/api.md describes each of them. */
export type DeploySettings = {
  readonly [What in keyof Omit<DeployQuery, 'file'>]?: DeployQuery[What] | undefined
}

export const rollbackSchema = z.strictObject({
  /** Default: the last earlier version that ran and was not rolled back from. */
  to: z.int().min(1).optional(),
  /** Drain the instances and start others, even if the version could be swapped in place. */
  drain: z.boolean().default(false),
  ...annotations,
})
export type RollbackRequest = z.input<typeof rollbackSchema>
