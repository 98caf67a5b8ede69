/**
 * DeployApi: what a deploy says beside its upload, and what it is answered.
 * @module
 */
import { z } from 'zod'
import { gateReportSchema } from './gate.ts'
import { instancesSchema, nameSchema } from './manifest.ts'

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
})
export type DeployAnswer = z.output<typeof deployAnswerSchema>

/** What a deploy says beside the upload. */
export const deployQuerySchema = z.object({
  /** Who deploys, as he says himself, and why. */
  author: z.string().max(200).optional(),
  message: z.string().max(1000).optional(),
  /** So many instances, whatever it had; else a count that was changed by hand stays while the manifest's own does not change. */
  instances: z.coerce.number().pipe(instancesSchema).optional(),
})
