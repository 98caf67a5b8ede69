/**
 * State: a gateway's question to a runner about the state of one of its instances, and the reply. JSON with `schema` first.
 * Design: docs/design/0037-state-from-outside.md
 * @module
 */
import * as z from 'zod'
import { partitionStateSchema } from '../../sdk/api/state.ts'
import { jsonBytes, parsedJson } from '../json.ts'

/** A slice of one partition's entries. */
const listSchema = z.object({
  partition: z.int(),
  /** That of broadcast inputs, which is the instance's own. */
  isOwn: z.literal(true).optional(),
  /** The place where it begins, of 2³² (sdk/runtime/arena/arena-reader.ts). */
  from: z.number(),
  limit: z.int(),
  /** How keys begin, in base64. */
  prefix: z.base64().optional(),
})

const askSchema = z.object({
  schema: z.literal(1),
  instance: z.string(),
  /** In base64; absent: how much there is. */
  key: z.base64().optional(),
  /** Only this partition. */
  partition: z.int().optional(),
  /** The partition that is searched first, since not all can be. */
  first: z.int().optional(),
  /** Instead of all of these. */
  list: listSchema.optional(),
})

const answerSchema = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    version: z.int(),
    readAtMs: z.number(),
    /** All that it has of those asked for. */
    partitions: z.array(partitionStateSchema),
    /** Where the next slice begins; absent: there is none. */
    next: z.number().optional(),
  }),
  z.object({ ok: z.literal(false), message: z.string() }),
])

export type ListAsk = z.output<typeof listSchema>
export type StateAsk = z.output<typeof askSchema>
export type StateAnswer = z.output<typeof answerSchema>

export function encodeState(message: StateAsk | StateAnswer): Uint8Array {
  return jsonBytes(message)
}

/** @returns Undefined if this build cannot read it. */
export function decodeStateAsk(bytes: Uint8Array): StateAsk | undefined {
  return askSchema.safeParse(parsedJson(bytes)).data
}

export function decodeStateAnswer(bytes: Uint8Array): StateAnswer {
  const answer = answerSchema.safeParse(parsedJson(bytes)).data
  return answer ?? { ok: false, message: 'its runner answers what this build cannot read' }
}
