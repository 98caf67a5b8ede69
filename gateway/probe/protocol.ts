/**
 * Protocol: the messages between a prober and its child, over the child's stdin and stdout.
 *
 * Both directions are one JSON line (the head) and then two blocks of raw bytes whose lengths the head gives. The
 * child first says that it is ready, with one byte. The child trusts its prober; the prober trusts nothing from the child
 * (answer.ts).
 * @module
 */

export { bundleBytesMax, sourceMapBytesMax } from '../../sdk/manifest/limits.ts'

/** Metadata as JSON text, inside the isolate. */
export const metadataCharsMax = 64 * 1024

export const readyByte = 0x52

/** An upload as it came: one source file, or a bundle with its source map. */
export interface Upload {
  readonly kind: 'source' | 'bundle'
  /** The name of the source in errors. */
  readonly file: string
  readonly code: Uint8Array
  readonly sourceMap: Uint8Array
}

export interface Head {
  /** Lengths of the two blocks. */
  readonly bytes: readonly [number, number]
}

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

/** What an author can do about code that takes too much time or memory to load. */
export const mend = 'Do that in `init`, or keep the data in an asset.'

export function encodeUpload({ kind, file, code, sourceMap }: Upload): Uint8Array {
  return encode({ kind, file, bytes: [code.length, sourceMap.length] }, code, sourceMap)
}

/** @throws If the message is not whole. */
export function decodeUpload(message: Buffer): Upload {
  const { head, first, second } = decode(message, (head) => head as Head & Pick<Upload, 'kind' | 'file'>)
  return { kind: head.kind, file: head.file, code: first, sourceMap: second }
}

export function encode<H extends Head>(head: H, first: Uint8Array, second: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), first, second])
}

/** @throws If the message is not whole, or its head is not as `parse` wants it. */
export function decode<H extends Head>(message: Buffer, parse: (head: unknown) => H) {
  const end = message.indexOf(0x0a)
  const head = parse(JSON.parse(message.subarray(0, Math.max(0, end)).toString()))
  const [first, second] = head.bytes
  const at = end + 1
  if (message.length !== at + first + second)
    throw new Error(`a message of ${message.length} bytes claims other lengths`)
  return { head, first: message.subarray(at, at + first), second: message.subarray(at + first) }
}
