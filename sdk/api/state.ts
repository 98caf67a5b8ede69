/**
 * State: what is stored in the state of a function, in the HTTP API and in the answers of runners.
 * Design: docs/design/0037-state-from-outside.md
 * @module
 */
import * as z from 'zod'

/** When the entry expires; absent: never. */
const expiry = { expiresMs: z.number().optional() }

const storedValueSchema = z.object({
  /** Text if it is UTF-8. */
  value: z.string().optional(),
  valueBase64: z.string().optional(),
  /** Of the whole value. */
  bytes: z.int(),
  /** Only its beginning is shown. */
  isCut: z.literal(true).optional(),
  /** It is in the format that began with this version: `migrate` has not converted it yet. */
  format: z.int().optional(),
  ...expiry,
})
export type StoredValue = z.output<typeof storedValueSchema>

/** What a key has, by kind. */
const storedUnderKeySchema = z.object({
  /** Of `setState`, `setJson` and `value`. */
  state: storedValueSchema.optional(),
  counter: z.object({ value: z.number(), ...expiry }).optional(),
  /** The last items; `length` counts all. */
  list: z.object({ length: z.int(), items: z.array(storedValueSchema), ...expiry }).optional(),
  /** Sums by the beginning of their bucket. */
  windows: z.array(z.object({ start: z.number(), sum: z.number(), ...expiry })).optional(),
  timers: z.array(z.object({ timeMs: z.number() })).optional(),
})
export type StoredUnderKey = z.output<typeof storedUnderKeySchema>

/** One entry in a list of what is stored: its key, and the one thing that it is. Values are cut soon, items are not shown. */
const stateEntrySchema = storedUnderKeySchema.extend({
  /** Text if it is UTF-8. */
  key: z.string().optional(),
  keyBase64: z.string().optional(),
})
export type StateEntry = z.output<typeof stateEntrySchema>

export const partitionStateSchema = z.object({
  partition: z.int(),
  /** State of broadcast inputs, which belongs to the instance alone. */
  isOwn: z.literal(true).optional(),
  /** Without timers. */
  entries: z.int(),
  /** Of keys and values, timers included. */
  bytes: z.int(),
  timers: z.int(),
  /** What was asked for; absent: there is nothing. */
  found: storedUnderKeySchema.optional(),
  /** What is stored, where no key was asked for. */
  listed: z.array(stateEntrySchema).optional(),
  /** It is too large to be searched for windows and timers of a key. */
  isUnsearched: z.literal(true).optional(),
})
export type PartitionState = z.output<typeof partitionStateSchema>

const instanceStateSchema = z.object({
  instance: z.string(),
  version: z.int(),
  /** When it was read, between two batches, by the clock of its machine. */
  readAtMs: z.number(),
  partitions: z.array(partitionStateSchema),
})

export const functionStateSchema = z.object({
  function: z.string(),
  /** The partition of records of the key that was asked for; absent: no input is grouped by key. */
  keyPartition: z.int().optional(),
  instances: z.array(instanceStateSchema),
  /** Partitions that were asked for and not read. */
  unread: z.array(z.object({ partitions: z.array(z.int()), why: z.string() })),
  /** There is more to list: for the query of the next page. */
  cursor: z.string().optional(),
})
export type FunctionState = z.output<typeof functionStateSchema>

export const listedMax = 1000
export const stateQuerySchema = z.object({
  key: z.string().optional().describe('text; without a key: how much there is, or what'),
  keyBase64: z.base64().optional().describe('bytes instead of text'),
  partition: z.coerce.number().int().min(0).optional().describe('default: all'),
  prefix: z.string().optional().describe('with `limit`: list keys that begin so'),
  limit: z.coerce
    .number()
    .int()
    .min(0)
    .max(listedMax)
    .default(0)
    .describe('list about so many entries; 0: only how much there is'),
  cursor: z.string().optional().describe('with `limit`: list on from the `cursor` of an answer'),
})
export interface StateQuery {
  readonly key?: string | undefined
  readonly keyBase64?: string | undefined
  readonly partition?: number | undefined
  readonly prefix?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}
