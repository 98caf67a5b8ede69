/**
 * Protocol: the messages between a prober and its child, over the child's stdin and stdout.
 *
 * Both directions are one JSON line (the head) and then two blocks of raw bytes whose lengths the head gives. The
 * child first says that it is ready, with one byte. The prober trusts nothing from the child: lengths are capped, and
 * the head is parsed as unknown.
 * @module
 */
import { z } from 'zod'

export const bundleBytesMax = 10 * 1024 * 1024
export const sourceMapBytesMax = 40 * 1024 * 1024
/** Metadata as JSON text, inside the isolate. */
export const metadataCharsMax = 64 * 1024
const headBytesMax = 256 * 1024
export const answerBytesMax = headBytesMax + bundleBytesMax + sourceMapBytesMax

export const readyByte = 0x52

/** An upload as it came: one source file, or a bundle with its source map. */
export interface Upload {
  readonly kind: 'source' | 'bundle'
  /** The name of the source in errors. */
  readonly file: string
  readonly code: Uint8Array
  readonly sourceMap: Uint8Array
}

const headSchema = z.object({
  kind: z.enum(['source', 'bundle']),
  file: z.string(),
  bytes: z.tuple([z.int(), z.int()]),
})

export const callbackNames = ['init', 'processRecord', 'processTimer', 'migrate', 'destroy'] as const

/** Codes that a child may answer; others are the prober's own. */
export const childCodes = [
  'ERR_SOURCE_INVALID',
  'ERR_SOURCE_MAP_INVALID',
  'ERR_IMPORT_REFUSED',
  'ERR_LOAD_THREW',
  'ERR_LOAD_DEADLINE',
  'ERR_LOAD_MEMORY',
  'ERR_NO_DEFAULT_EXPORT',
  'ERR_METADATA_INVALID',
  'ERR_TOO_LARGE',
] as const

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

export function encodeUpload({ kind, file, code, sourceMap }: Upload): Uint8Array {
  return encode({ kind, file, bytes: [code.length, sourceMap.length] }, code, sourceMap)
}

export function encodeAnswer({ outcome, code, sourceMap }: Answer): Uint8Array {
  return encode(outcome, code, sourceMap)
}

/** @throws If the message is not whole and well-formed. */
export function decodeUpload(message: Buffer): Upload {
  const { head, first, second } = decode(message, headSchema)
  return { kind: head.kind, file: head.file, code: first, sourceMap: second }
}

/** @throws If the message is not whole and well-formed. */
export function decodeAnswer(message: Buffer): Answer {
  const { head, first, second } = decode(message, outcomeSchema)
  return { outcome: head, code: first, sourceMap: second }
}

function encode(head: object, first: Uint8Array, second: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), first, second])
}

function decode<Head extends { readonly bytes: readonly [number, number] }>(
  message: Buffer,
  schema: z.ZodType<Head>,
) {
  const end = message.indexOf(0x0a)
  const head = schema.parse(JSON.parse(message.subarray(0, Math.max(0, end)).toString()))
  const [first, second] = head.bytes
  const at = end + 1
  if (message.length !== at + first + second)
    throw new Error(`a message of ${message.length} bytes claims other lengths`)
  return { head, first: message.subarray(at, at + first), second: message.subarray(at + first) }
}
