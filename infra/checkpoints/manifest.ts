/**
 * Manifest: what names the checkpoints of a slot, the present one and the one before. JSON, `schema` first.
 * @module
 */
import { z } from 'zod'
import { infraError } from '../errors.ts'

const count = z.int().min(0)
const uint32 = count.max(2 ** 32 - 1)
const hexId = z.string().regex(/^[0-9a-f]{16}$/)

const positionSchema = z.object({
  producer: hexId,
  origin: hexId,
  epoch: uint32,
  /** Behind the last record whose effects the state contains. */
  through: count,
  /** How many before it were set aside; builds that do not know of them count them as contained. */
  aside: count.exactOptional(),
})

/** Of what is contained: records whose effects are in a format that may go again; builds that know of none count them as contained. */
export const openSchema = z.object({ format: count, records: count })

const segmentSchema = z.object({
  epoch: uint32,
  number: uint32,
  parts: z.int().min(1),
  pages: z.int().min(1),
  /** Over the checksums of its parts. */
  crc: uint32,
})

const checkpointSchema = z.object({
  /** Of the owner that made it, and how many cuts it had made before. */
  epoch: uint32,
  number: uint32,
  /** When it was cut. */
  timeMs: count,
  /** The version that ran. */
  version: count,
  /** Its owner processed nothing behind it. */
  clean: z.boolean(),
  /** Bytes of the slabs of its arena, in order; none: there is no state yet. */
  slabs: z.array(count),
  /** Of an owner that was ended inside a record: what the next one undoes by. */
  commitWord: z.int().optional(),
  /** A page in a later one wins. */
  segments: z.array(segmentSchema),
  /** By input stream: what the state contains, and how many records it lacks for good. */
  inputs: z.record(
    z.string(),
    z.object({ lost: count, open: openSchema.exactOptional(), positions: z.array(positionSchema) }),
  ),
})

/**
 * A timer that has ended its owner, or that was being called by itself when its owner ended without a word
 * (docs/design/0012-failure-reactions.md). Builds that know of none pass over it.
 */
const triedTimerSchema = z.object({
  key: z.string(),
  timeMs: z.int(),
  /** Of `version`, the one that is under way included. */
  attempts: count,
  version: count,
  /** What it ended in; absent: nobody could say. */
  error: z
    .object({
      name: z.string(),
      message: z.string(),
      stack: z.string(),
      at: z.string().exactOptional(),
      timeMs: z.number(),
    })
    .exactOptional(),
  /** Its process had no CPU. */
  starved: z.literal(true).exactOptional(),
})

const manifestSchema = z.object({
  schema: z.literal(1),
  /** The highest of an owner that has claimed it. */
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
  return new TextEncoder().encode(JSON.stringify(manifest))
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
