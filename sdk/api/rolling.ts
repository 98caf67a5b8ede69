/**
 * RollingView: a rolling deploy as the API shows it.
 * @module
 */
import * as z from 'zod'

/** Docs: docs/design/0033-rolling.md */
export const rollingSchema = z.object({
  version: z.int(),
  /** The version that the other instances have. */
  from: z.int(),
  /** Instances in a wave. */
  width: z.int(),
  /** The wave, from 1, and since when. */
  wave: z.int(),
  sinceMs: z.number(),
  /** The instances that have the version, or should have it now, by id. */
  instances: z.array(z.string()),
  /** How many of the wanted instances run it, off trial. */
  working: z.int(),
  wanted: z.int(),
  /** Its state has another format: until it is everywhere, no share moves and no instance with a share ends. */
  isBound: z.boolean().optional(),
})
export type RollingView = z.output<typeof rollingSchema>
