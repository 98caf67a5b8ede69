/**
 * The shapes of partitions that are moved by hand, in the HTTP API (sdk/api/index.ts lists its routes). Docs: docs/design/0036-moved-by-hand.md
 * @module
 */
import { z } from 'zod'
import { partitionsMax } from '../manifest/manifest.ts'

const partitions = z
  .array(
    z
      .int()
      .min(0)
      .max(partitionsMax - 1),
  )
  .min(1)

/** Partitions are to be with an instance; or they, or all that were moved, go where their number puts them. */
export const homesPatchSchema = z.union([
  z.strictObject({ partitions, to: z.string().max(100) }),
  z.strictObject({ partitions: partitions.optional(), back: z.literal(true) }),
])

/** Where a person has put a partition of each input that is not broadcast. */
export const homeSchema = z.object({ partition: z.int(), instance: z.string() })
export type Home = z.output<typeof homeSchema>

/** All that are moved, from now on; and which of them, or of those that go back, this has changed. */
export const moveAnswerSchema = z.object({ homes: z.array(homeSchema), changed: z.array(z.int()) })
export type MoveAnswer = z.output<typeof moveAnswerSchema>
