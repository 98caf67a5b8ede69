/**
 * GoneNotice: encodes and decodes the scheduler's question about killed producers. An unreadable one is ignored.
 * @module
 */
import * as z from 'zod'
import { jsonBytes, parsedJson } from '../json.ts'
import type { GoneNotice, GoneProducer } from './messages/accounts.ts'

const count = z.int().min(0)
const schema = z.object({
  schema: z.literal(1),
  gone: z.array(
    z.object({
      name: z.string(),
      index: z.union([count, z.string()]),
      ...{ firstEpoch: count, epoch: count },
    }),
  ),
})

export function encodeGone(gone: readonly GoneProducer[]): Uint8Array {
  const notice: GoneNotice = { schema: 1, gone }
  return jsonBytes(notice)
}

export function decodeGone(bytes: Uint8Array): readonly GoneProducer[] | undefined {
  return schema.safeParse(parsedJson(bytes)).data?.gone
}
