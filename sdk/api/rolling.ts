/**
 * RollingView: a version that comes to some instances after others, as the API shows it.
 * @module
 */
import { z } from 'zod'

/** Docs: docs/design/0033-rolling.md */
export const rollingSchema = z.object({
  version: z.int(),
  /** The version that the other instances have. */
  from: z.int(),
  /** Instances at a time. */
  width: z.int(),
  /** Which wave it is, from 1, and since when. */
  wave: z.int(),
  sinceMs: z.number(),
  /** Those that have it or are to have it now, by id. */
  instances: z.array(z.string()),
  /** How many of all that are wanted work with it, off trial. */
  working: z.int(),
  wanted: z.int(),
  /** Its state has another format: no share moves, and no instance that has one goes, until it is everywhere. */
  isBound: z.boolean().optional(),
})
export type RollingView = z.output<typeof rollingSchema>
