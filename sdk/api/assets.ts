/**
 * Assets: their shapes in the HTTP API.
 * @module
 */
import * as z from 'zod'
import { assetsMax } from '../manifest/assets.ts'
import { assetNameSchema, nameSchema } from '../manifest/manifest.ts'
import { annotations } from './deploy.ts'

export const sha256Schema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'expected the sha256 as 64 lower-case hex digits')

/** A file beside a version's bundle. */
export const assetRefSchema = z.object({ sha256: sha256Schema, bytes: z.int() })
export const assetRefsSchema = z.record(assetNameSchema, assetRefSchema)

/** The assets of a function's wanted version. */
export const assetListSchema = z.object({ name: nameSchema, version: z.int(), assets: assetRefsSchema })
export type AssetList = z.output<typeof assetListSchema>

/** The assets that a version should have, by name. */
export const assetNamesSchema = z
  .record(assetNameSchema, sha256Schema)
  .refine((names) => Object.keys(names).length <= assetsMax, `expected at most ${assetsMax} assets`)

export const assetPatchSchema = z.strictObject({
  /** By name: an uploaded asset, or null to remove the name. Other assets stay. */
  assets: z.record(assetNameSchema, sha256Schema.nullable()),
  ...annotations,
  /** Drain the instances and start others, even if the version could be swapped in place. */
  drain: z.boolean().default(false),
  /** Judge the version on recent records, and change nothing. */
  dryRun: z.boolean().default(false),
  /** Deploy even if its gate asks. */
  accept: z.boolean().default(false),
})
export type AssetPatch = z.input<typeof assetPatchSchema>
