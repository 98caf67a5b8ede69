/**
 * Streams: their settings, published records, and followed records in the API.
 * @module
 */
import * as z from 'zod'
import { nameSchema, partitionsDefault, partitionsMax } from '../manifest/manifest.ts'

/** What is absent stays as it is; a new stream gets the default. */
export const streamConfigSchema = z.strictObject({
  partitions: z
    .int()
    .min(1)
    .max(partitionsMax)
    .optional()
    .describe(`integer; never changes; ${partitionsDefault} for a new stream`),
  raw: z
    .boolean()
    .optional()
    .describe('boolean: also publish each record as one plain NATS message; false for a new stream'),
})
export type StreamConfig = z.output<typeof streamConfigSchema>

/** A record of `POST …/records` as NDJSON: exactly one of `value` and `valueBase64`. */
export const recordInputSchema = z.strictObject({
  key: z.string().optional().describe('text; a record may have no key'),
  keyBase64: z.string().optional().describe('bytes instead of text'),
  value: z.string().optional().describe('text'),
  valueBase64: z.string().optional().describe('bytes instead of text'),
  partition: z
    .int()
    .min(0)
    .max(partitionsMax - 1)
    .optional()
    .describe('instead of the one that the key gives'),
  timeMs: z.int().optional().describe('event time in ms since 1970; default: now'),
  /** So that what was read from a stream can be sent as it is. */
  stream: z.string().optional().describe('ignored, as are the next two: a record that was followed has them'),
  producer: z.string().optional(),
  sequence: z.int().optional(),
})
export type RecordInput = z.output<typeof recordInputSchema>

/** Answer of `POST …/records`: all were accepted, in order. */
export const produceAnswerSchema = z.object({ accepted: z.int() })

/** A record as a follower sees it. `value` where it is UTF-8 text, else `valueBase64`; likewise the key. */
export const recordOutputSchema = z.object({
  stream: z.string(),
  partition: z.int(),
  producer: z.string(),
  sequence: z.int(),
  timeMs: z.int(),
  key: z.string().optional(),
  keyBase64: z.string().optional(),
  value: z.string().optional(),
  valueBase64: z.string().optional(),
})
export type RecordOutput = z.output<typeof recordOutputSchema>

/**
 * Events of a followed stream: `ready` is the first line, once every known producer waits for this reader; `gap` says
 * that records were missed.
 */
export const followEventSchema = z.union([
  z.object({
    event: z.literal('ready'),
    hold: z.boolean(),
    /** The id of the holding reader, to be sent as `instead` after a broken connection. */
    reader: z.string().optional(),
    /** It continues for the reader named in `instead`, and nothing was missed. */
    resumed: z.boolean().optional(),
  }),
  z.object({ event: z.literal('gap'), partition: z.int(), producer: z.string(), records: z.int() }),
])
export type FollowEvent = z.output<typeof followEventSchema>

export const streamSummarySchema = z.object({
  name: nameSchema,
  partitions: z.int(),
  raw: z.boolean(),
  producers: z.array(z.string()),
  consumers: z.array(z.string()),
})
export type StreamSummary = z.output<typeof streamSummarySchema>

/** Answer of `PUT /v1/streams/NAME`: the stream as it is now, and whether it is new. */
export const streamPutSchema = streamSummarySchema.extend({ created: z.boolean() })
export type StreamPut = z.output<typeof streamPutSchema>
