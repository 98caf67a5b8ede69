/**
 * Readers: the readers of a stream in the API, each with its account of it.
 * @module
 */
import * as z from 'zod'
import { heldBackSchema, ledgerSchema, noJetStreamSchema, unheardSchema } from './functions.ts'
import { streamSummarySchema } from './streams.ts'

/** sent = processed + dropped + inFlight + unaccounted; what is in flight waits for it. */
const streamReaderSchema = ledgerSchema.extend({
  /** The function; or, of a reader over HTTP that the stream waits for, `follower.ID`. */
  reader: z.string(),
  backPressure: z.string(),
  /** Of a function. */
  instancesRunning: z.int().optional(),
  instancesWanted: z.int().optional(),
})
export type StreamReader = z.output<typeof streamReaderSchema>

/** Answer of `GET /v1/streams/NAME`. */
export const streamDetailSchema = streamSummarySchema.extend({
  unheard: unheardSchema,
  noJetStream: noJetStreamSchema,
  readers: z.array(streamReaderSchema),
  /** Who holds it up, or soon will; absent: nobody. */
  heldBackBy: z.array(heldBackSchema).optional(),
})
export type StreamDetail = z.output<typeof streamDetailSchema>
