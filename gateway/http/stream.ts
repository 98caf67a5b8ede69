/** Stream: an answer that goes on, pulled by the client: the next batch is asked for when the socket has room. */
import type { HttpContext } from './body.ts'

/** Aborted when the client has gone or the gateway stops. */
export function untilClosed(c: HttpContext, closing: AbortSignal): AbortSignal {
  return AbortSignal.any([c.req.raw.signal, closing])
}

export function streamResponse(contentType: string, batches: AsyncIterable<readonly string[]>): Response {
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for await (const batch of batches) yield Buffer.from(batch.join(''))
  }
  const headers = { 'content-type': contentType, 'cache-control': 'no-store' }
  return new Response(ReadableStream.from(bytes()), { headers })
}
