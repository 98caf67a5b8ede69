/**
 * The messages of a handover, as they travel over NATS (docs/design/0011-handover.md):
 *
 *     ask      JSON, `schema` 1
 *     answer   u32 length of the JSON, little-endian   JSON, `schema` 1   the bytes of the pages that it names
 * @module
 */
import * as z from 'zod'
import { openSchema } from '../../infra/checkpoints/index.ts'
import { jsonBytes, parsedJson } from '../../infra/json.ts'
import { pageBytes } from '../../sdk/runtime/index.ts'
import type { ShareImage } from '../checkpoint/share-image.ts'
import type { MoveAnswer, MoveAsk } from './moves.ts'

const count = z.int().min(0)
const owner = z.string().regex(/^[0-9a-f]{16}$/)

const askSchema = z.object({
  schema: z.literal(1),
  instance: z.string(),
  share: count,
  epoch: count,
  ready: z.boolean(),
  owner: owner.exactOptional(),
})

const position = { producer: z.string(), origin: z.string(), epoch: count, through: count }
const contained = z.object({ ...position, aside: count.exactOptional() })
const imageSchema = z.object({
  base: z.object({ epoch: count, number: count }).optional(),
  epoch: count.exactOptional(),
  revision: count.exactOptional(),
  slabs: z.array(count),
  inputs: z.record(
    z.string(),
    z.object({ lost: count, open: openSchema.exactOptional(), positions: z.array(contained) }),
  ),
  pages: z.array(count),
})
const answerSchema = z.discriminatedUnion('ok', [
  z.object({
    schema: z.literal(1),
    ok: z.literal(true),
    left: z
      .object({
        since: count,
        next: owner.exactOptional(),
        channels: z.array(
          z.object({
            ...{ stream: z.string(), partition: count, ...position },
            ...{ from: count.exactOptional(), accepted: count.exactOptional() },
            attempts: count.exactOptional(),
          }),
        ),
      })
      .optional(),
    image: imageSchema.optional(),
  }),
  z.object({
    schema: z.literal(1),
    ok: z.literal(false),
    code: z.enum(['ERR_MOVE_NOT_YET', 'ERR_MOVE_PREPARED', 'ERR_MOVE_GONE']),
  }),
])

/** What goes with a share; undefined where the function keeps no checkpoints. */
export type MovedState = ShareImage | undefined

export function encodeAsk(ask: MoveAsk): Uint8Array {
  return jsonBytes(ask)
}

/** @returns Undefined for what is none. */
export function decodeAsk(bytes: Uint8Array): MoveAsk | undefined {
  return askSchema.safeParse(parsedJson(bytes)).data
}

export function encodeAnswer(answer: MoveAnswer<MovedState>): Uint8Array {
  if (!answer.ok) return framed({ schema: 1, ...answer }, new Uint8Array(0))
  const { left, state } = answer
  if (state === undefined) return framed({ schema: 1, ok: true, left }, new Uint8Array(0))
  const { bytes, pages, ...image } = state
  return framed({ schema: 1, ok: true, left, image: { ...image, pages: [...pages] } }, bytes)
}

/** @throws if it is none */
export function decodeAnswer(message: Uint8Array): MoveAnswer<MovedState> {
  const length = new DataView(message.buffer, message.byteOffset, message.byteLength).getUint32(0, true)
  const json = new TextDecoder().decode(message.subarray(4, 4 + length))
  const { schema: _, ...answer } = answerSchema.parse(JSON.parse(json))
  if (!answer.ok) return answer
  const { ok, left, image } = answer
  if (image === undefined) return { ok, left, state: undefined }
  const bytes = message.slice(4 + length)
  if (bytes.length !== image.pages.length * pageBytes)
    throw new Error(`Cannot read the answer: ${image.pages.length} pages in ${bytes.length} bytes`)
  const { base, pages, ...said } = image
  return {
    ...{ ok, left },
    state: { ...(base === undefined ? {} : { base }), ...said, pages: Uint32Array.from(pages), bytes },
  }
}

function framed(json: unknown, bytes: Uint8Array): Uint8Array {
  const text = jsonBytes(json)
  const message = new Uint8Array(4 + text.length + bytes.length)
  new DataView(message.buffer).setUint32(0, text.length, true)
  message.set(text, 4)
  message.set(bytes, 4 + text.length)
  return message
}
