/**
 * Answer: parses a child's answer about an upload. The prober trusts nothing of it: lengths are bounded, and the head is
 * parsed as unknown. The child uses only the types of this file, so it starts without zod.
 * @module
 */
import * as z from 'zod'
import { bundleBytesMax, callbackNames, childCodes, decode, sourceMapBytesMax } from './protocol.ts'

const headBytesMax = 256 * 1024
export const answerBytesMax = headBytesMax + bundleBytesMax + sourceMapBytesMax

const outcomeSchema = z.union([
  z.object({
    ok: z.literal(true),
    metadata: z.unknown(),
    callbacks: z.array(z.enum(callbackNames)),
    bytes: z.tuple([z.int().min(0).max(bundleBytesMax), z.int().min(0).max(sourceMapBytesMax)]),
  }),
  z.object({
    ok: z.literal(false),
    code: z.enum(childCodes),
    message: z.string().max(4096),
    location: z.object({ file: z.string().max(512), line: z.int(), column: z.int() }).optional(),
    bytes: z.tuple([z.literal(0), z.literal(0)]),
  }),
])
export type Outcome = z.output<typeof outcomeSchema>

export interface Answer {
  readonly outcome: Outcome
  readonly code: Uint8Array
  readonly sourceMap: Uint8Array
}

/** @throws If the message is not whole and well-formed. */
export function decodeAnswer(message: Buffer): Answer {
  const { head, first, second } = decode(message, (head) => outcomeSchema.parse(head))
  return { outcome: head, code: first, sourceMap: second }
}
