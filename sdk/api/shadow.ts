/**
 * ShadowApi: what the API takes and answers on shadows, beside the report itself (shadow.ts).
 *
 *   GET    /v1/functions/:name/shadow               ShadowView
 *   GET    /v1/functions/:name/shadow/differences   ShadowDifferences
 *   POST   /v1/functions/:name/promote              {to?} → DeployAnswer
 * @module
 */
import { z } from 'zod'
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
