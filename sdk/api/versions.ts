/**
 * Versions: the versions of a function, and the difference between two of them, in the API.
 * @module
 */
import * as z from 'zod'
import { manifestSchema, nameSchema } from '../manifest/manifest.ts'
import { assetRefsSchema } from './assets.ts'
import { versionStateSchema } from './version-state.ts'

const changeSchema = z.object({ path: z.string(), before: z.unknown(), after: z.unknown() }).partial({
  before: true,
  after: true,
})

const bundleSchema = z.object({ version: z.int(), bundleSha256: z.string(), bundleBytes: z.int() })

export const versionSummarySchema = bundleSchema.extend({
  deployedAtMs: z.number(),
  author: z.string().optional(),
  message: z.string().optional(),
  state: versionStateSchema,
  outcomeAtMs: z.number().optional(),
  reason: z.string().optional(),
  /** Of a version that is rolled out: which instance fails with it, and why. */
  notStarting: z.string().optional(),
  /** No record came during its trial. */
  untried: z.literal(true).optional(),
  /** The steps as a canary, in percent of the keys, to which no record came, where others had some. */
  quietAt: z.array(z.number()).optional(),
  /** Who rolled back from it. */
  by: z.string().optional(),
  /** It had failed before its present `state`. */
  failed: z.object({ atMs: z.number(), reason: z.string().optional() }).optional(),
  /** The differences of its manifest from that of the version before. */
  changes: z.array(changeSchema),
  assets: assetRefsSchema.default({}),
})
export type VersionSummary = z.output<typeof versionSummarySchema>

export const versionDetailSchema = versionSummarySchema.extend({ manifest: manifestSchema })
export type VersionDetail = z.output<typeof versionDetailSchema>

export const versionDiffSchema = z.object({
  name: nameSchema,
  from: bundleSchema,
  to: bundleSchema,
  sameCode: z.boolean(),
  manifest: z.array(changeSchema),
  /** By name. */
  assets: z.array(changeSchema).default([]),
})
export type VersionDiff = z.output<typeof versionDiffSchema>
