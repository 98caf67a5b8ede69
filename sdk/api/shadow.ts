/**
 * Shadow: requests and answers about shadows in the HTTP API, besides the report itself (sdk/versions/shadow-schema.ts).
 * @module
 */
import * as z from 'zod'
import { nameSchema } from '../manifest/manifest.ts'
import { shadowDifferenceSchema } from '../versions/shadow-schema.ts'

export const promoteSchema = z.strictObject({
  /** Default: the current shadow, else the newest former one. */
  to: z.int().min(1).optional(),
})

export const shadowDifferencesSchema = z.object({
  name: nameSchema,
  version: z.int(),
  differences: z.array(shadowDifferenceSchema),
  /** There are more: the `after` of the next request. */
  next: z.int().optional(),
})
export type ShadowDifferences = z.output<typeof shadowDifferencesSchema>
