/**
 * DeadLetters: their shapes in the HTTP API.
 * @module
 */
import * as z from 'zod'
import { nameSchema } from '../manifest/manifest.ts'

/** Dead letters of a function. */
export const deadLetterCountsSchema = z.object({ waiting: z.int(), redriven: z.int() })
export type DeadLetterCounts = z.output<typeof deadLetterCountsSchema>

const letterIdSchema = z.string().regex(/^\d{1,15}-\d{1,5}$/, 'expected an id as in 12-0')

/** A filter of dead letters: all given conditions must hold. */
const deadLetterFilter = {
  function: nameSchema.optional(),
  /** A part of `NAME: MESSAGE` of the error. */
  error: z.string().min(1, 'expected a part of the error: an empty text is in every error').optional(),
  /** The whole key, as text; empty: records without a key. */
  key: z.string().optional(),
  /** Given up at or after this time, and before `untilMs`; milliseconds since 1970. */
  sinceMs: z.coerce.number().optional(),
  untilMs: z.coerce.number().optional(),
  /** After this letter: where the previous answer ended. */
  after: letterIdSchema.optional(),
}
export type DeadLetterFilter = Omit<z.output<ReturnType<typeof z.object<typeof deadLetterFilter>>>, 'after'>

export const deadLetterListQuerySchema = z.object({
  ...deadLetterFilter,
  state: z.enum(['waiting', 'redriven', 'all']).default('waiting'),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})
export type DeadLetterListQuery = z.output<typeof deadLetterListQuerySchema>

const deadLetterSummarySchema = z.object({
  id: letterIdSchema,
  function: z.string(),
  version: z.int(),
  /**
   * A timer that was given up. Then `key` and `timeMs` are the timer's, `partition` is that of its state, and the
   * fields that locate a record are absent.
   */
  timer: z.literal(true).optional(),
  /** The record's input stream. */
  stream: z.string(),
  partition: z.int(),
  producer: z.string(),
  sequence: z.int(),
  /** Calls of the callback. */
  attempts: z.int(),
  failedAtMs: z.number(),
  /** Event time of the record; for a timer, the time for which it was set. */
  timeMs: z.int(),
  key: z.string().optional(),
  keyBase64: z.string().optional(),
  valueBytes: z.int(),
  /** `at`: the line of the author's source. */
  error: z.object({ name: z.string(), message: z.string(), at: z.string().optional() }),
  /**
   * `redriving`: claimed by a redrive that may or may not have completed. `removed`: no longer listed, and stored only
   * until the letters beside it are removed too.
   */
  state: z.enum(['waiting', 'redriving', 'redriven', 'removed']),
  markedAtMs: z.number().optional(),
})
export type DeadLetterSummary = z.output<typeof deadLetterSummarySchema>

export const deadLetterListSchema = z.object({
  letters: z.array(deadLetterSummarySchema),
  /** There may be more after this one. */
  next: letterIdSchema.optional(),
})
export type DeadLetterList = z.output<typeof deadLetterListSchema>

/** A dead letter with the record's bytes and the whole stack. */
export const deadLetterSchema = deadLetterSummarySchema.extend({
  value: z.string().optional(),
  valueBase64: z.string().optional(),
  error: deadLetterSummarySchema.shape.error.extend({ stack: z.string() }),
})
export type DeadLetter = z.output<typeof deadLetterSchema>

export const redriveRequestSchema = z.strictObject({
  ...deadLetterFilter,
  /** Only these letters. */
  ids: z.array(letterIdSchema).max(1000).optional(),
  /** Only report what would be done. */
  dryRun: z.boolean().default(false),
  /** Include letters that an earlier redrive has claimed and perhaps not sent. */
  again: z.boolean().default(false),
  limit: z.int().min(1).max(10_000).default(10_000),
})
export type RedriveRequest = z.output<typeof redriveRequestSchema>

export const redriveAnswerSchema = z.object({
  /** Matching letters that were waiting. */
  matched: z.int(),
  redriven: z.int(),
  /** How many of those are timers, which are set again in their own state; absent: none. */
  timers: z.int().optional(),
  /** By stream that they were (or would be) sent to, with all functions that read it: each of them receives them. */
  streams: z.array(z.object({ stream: z.string(), records: z.int(), readBy: z.array(z.string()) })),
  /** There may be more after this one: ask again with it as `after`. */
  next: letterIdSchema.optional(),
})
export type RedriveAnswer = z.output<typeof redriveAnswerSchema>

/** What says which letters are to be removed; they are gone then. */
const choosing = ['function', 'error', 'key', 'sinceMs', 'untilMs', 'ids', 'state'] as const

export const removeLettersRequestSchema = z
  .strictObject({
    ...deadLetterFilter,
    /** Only these letters. */
    ids: z.array(letterIdSchema).max(1000).optional(),
    /**
     * Which: `waiting` (default), without those that a redrive has claimed; `redriven`; or `all` (default with `ids`),
     * also those that an interrupted redrive has claimed.
     */
    state: z.enum(['waiting', 'redriven', 'all']).optional(),
    /** Only report what would be done. */
    dryRun: z.boolean().default(false),
    limit: z.int().min(1).max(10_000).default(10_000),
  })
  .refine((request) => choosing.some((name) => request[name] !== undefined), {
    message: `expected which are meant, by at least one of ${choosing.join(', ')}: removed letters are gone`,
  })
export type RemoveLettersRequest = z.output<typeof removeLettersRequestSchema>

export const removeLettersAnswerSchema = z.object({
  /** Matching letters. */
  matched: z.int(),
  removed: z.int(),
  /** Room that is free now, or would be: a message of letters is deleted once all of them are removed. */
  freedBytes: z.int(),
  /** There may be more after this one: ask again with it as `after`. */
  next: letterIdSchema.optional(),
})
export type RemoveLettersAnswer = z.output<typeof removeLettersAnswerSchema>
