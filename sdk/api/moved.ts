/**
 * Moved: partitions moved by hand, in the HTTP API. Design:
 * docs/design/0036-moved-by-hand.md
 * @module
 */
import * as z from 'zod'
import { partitionsMax } from '../manifest/manifest.ts'

const partitions = z
  .array(
    z
      .int()
      .min(0)
      .max(partitionsMax - 1),
  )
  .min(1)

/** Moves partitions to an instance; or returns some, or all, to their usual place. */
export const moveSchema = z.union([
  z.strictObject({ partitions, to: z.string().max(100) }),
  z.strictObject({ partitions: partitions.optional(), back: z.literal(true) }),
])

/** The instance that a person moved a partition (of each input that is not broadcast) to. */
export const movedPartitionSchema = z.object({ partition: z.int(), instance: z.string() })
export type MovedPartition = z.output<typeof movedPartitionSchema>

/** All moved partitions after the change (`homes`), and which ones it changed. */
export const moveAnswerSchema = z.object({
  homes: z.array(movedPartitionSchema),
  changed: z.array(z.int()),
})
export type MoveAnswer = z.output<typeof moveAnswerSchema>
