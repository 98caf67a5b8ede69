/**
 * Body: a request's body in chunks as it arrives, and whole within a limit. Bytes are counted as they come, because a
 * declared length may be absent (chunked) or a lie.
 * @module
 */
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import { refuse } from '../errors.ts'

export type HttpContext = Context<{ Bindings: HttpBindings }>

/** The chunks of the body. Leaving the loop early leaves the connection open, so that an answer can be sent. */
export function bodyChunks(c: HttpContext): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => c.env.incoming.iterator({ destroyOnReturn: false }) }
}

/**
 * The whole body.
 * @throws {CodedError} ERR_TOO_LARGE at the first byte beyond `bytesMax`, or at once if a longer body is declared.
 */
export async function readBody(c: HttpContext, what: string, bytesMax: number): Promise<Buffer> {
  refuseDeclaredLength(c, what, bytesMax)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of bodyChunks(c)) {
    bytes += chunk.length
    if (bytes > bytesMax) throw tooLarge(what, bytesMax)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export function refuseDeclaredLength(c: HttpContext, what: string, bytesMax: number): void {
  if (Number(c.req.header('content-length') ?? 0) > bytesMax) throw tooLarge(what, bytesMax)
}

export function tooLarge(what: string, bytesMax: number): Error {
  return refuse(
    'ERR_TOO_LARGE',
    `Cannot take the ${what}: it is larger than ${bytesMax} bytes. Make it smaller.`,
  )
}
