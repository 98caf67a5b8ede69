/**
 * Manifest: the message that names the last two checkpoints of a slot. JSON, `schema` first.
 * @module
 */
import * as z from 'zod'
import { infraError } from '../errors.ts'
import { jsonBytes } from '../json.ts'

const count = z.int().min(0)
const uint32 = count.max(2 ** 32 - 1)
const hexId = z.string().regex(/^[0-9a-f]{16}$/)

const positionSchema = z.object({
  producer: hexId,
  origin: hexId,
  epoch: uint32,
  /** Behind the last record whose effects the state contains. */
  through: count,
  /** How many records before it were set aside; earlier builds ignore this and count them as contained. */
  aside: count.exactOptional(),
})

/** Contained records whose effects are only in an open format; earlier builds ignore this and count them as contained. */
export const openSchema = z.object({ format: count, records: count })

const segmentSchema = z.object({
  epoch: uint32,
  number: uint32,
  parts: z.int().min(1),
  pages: z.int().min(1),
  /** The checksum over those of its parts. */
  crc: uint32,
})

const checkpointSchema = z.object({
  /** The epoch of the owner that made it, and the number of its cut. */
  epoch: uint32,
  number: uint32,
  /** When it was cut. */
  timeMs: count,
  /** The version that was at work. */
  version: count,
  /** Whether its owner processed nothing afterwards. */
  clean: z.boolean(),
  /** The sizes of the arena's slabs, in order; empty: there is no state yet. */
  slabs: z.array(count),
  /** If the owner was ended inside a record: the commit word by which the next one undoes the unfinished changes. */
  commitWord: z.int().optional(),
  /** In order: a page in a later segment replaces one in an earlier. */
  segments: z.array(segmentSchema),
  /** By input stream: what the state contains, and how many records it lacks for good. */
  inputs: z.record(
    z.string(),
    z.object({ lost: count, open: openSchema.exactOptional(), positions: z.array(positionSchema) }),
  ),
})

/**
 * A timer that has ended its owner, or was being called alone when its owner ended without a report
 * (docs/design/0012-failure-reactions.md). Earlier builds ignore it.
 */
const triedTimerSchema = z.object({
  key: z.string(),
  timeMs: z.int(),
  /** Calls by `version`, with the one under way. */
  attempts: count,
  version: count,
  /** The error of the last call; absent if it is not known. */
  error: z
    .object({
      name: z.string(),
      message: z.string(),
      stack: z.string(),
      at: z.string().exactOptional(),
      timeMs: z.number(),
    })
    .exactOptional(),
  /** The call ran out of time because its process had no CPU. */
  starved: z.literal(true).exactOptional(),
})

const manifestSchema = z.object({
  schema: z.literal(1),
  /** The highest epoch that has claimed the slot. */
  epoch: uint32,
  current: checkpointSchema.optional(),
  previous: checkpointSchema.optional(),
  timers: z.array(triedTimerSchema).exactOptional(),
})

export type TriedTimer = z.output<typeof triedTimerSchema>
export type Position = z.output<typeof positionSchema>
export type SegmentInfo = z.output<typeof segmentSchema>
export type Checkpoint = z.output<typeof checkpointSchema>
export type CheckpointManifest = z.output<typeof manifestSchema>

export function encodeManifest(manifest: CheckpointManifest): Uint8Array {
  return jsonBytes(manifest)
}

/** @throws {CodedError} ERR_CHECKPOINT_CORRUPT, ERR_CHECKPOINT_FORMAT */
export function decodeManifest(bytes: Uint8Array, slot: string): CheckpointManifest {
  let found: unknown
  try {
    found = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw corrupt(slot, `${bytes.length} bytes that are not JSON`)
  }
  const schema = (found as { schema?: unknown } | null)?.schema
  if (typeof schema === 'number' && schema > 1)
    throw infraError(
      'ERR_CHECKPOINT_FORMAT',
      `Cannot read the checkpoint of ${slot}: its format is ${schema}, this build reads 1: run the build that wrote it`,
    )
  const parsed = manifestSchema.safeParse(found)
  if (!parsed.success) throw corrupt(slot, z.prettifyError(parsed.error).replaceAll('\n', ' '))
  return parsed.data
}

function corrupt(slot: string, found: string): Error {
  return infraError('ERR_CHECKPOINT_CORRUPT', `Cannot read the checkpoint of ${slot}: found ${found}`)
}
