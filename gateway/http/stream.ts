/** Stream: an answer that goes on, pulled by the client: the next batch is asked for when the socket has room. */
import type { HttpContext } from './body.ts'

/** Aborted when the client has gone or the gateway stops. */
export function untilClosed(c: HttpContext, closing: AbortSignal): AbortSignal {
  return AbortSignal.any([c.req.raw.signal, closing])
}

/** Clients and what stands between give up on a body that is silent for minutes. */
const quietMs = 15_000
/** Says nothing: an empty line of NDJSON, a comment of server-sent events. */
const fillers: Readonly<Record<string, string>> = { 'text/event-stream': ':\n\n' }

export function streamResponse(contentType: string, batches: AsyncIterable<readonly string[]>): Response {
  const filler = Buffer.from(fillers[contentType] ?? '\n')
  async function* bytes(): AsyncGenerator<Uint8Array> {
    const source = batches[Symbol.asyncIterator]()
    try {
      for (let next = source.next(); ; ) {
        const batch = await orQuiet(next)
        if (batch === 'quiet') {
          yield filler
          continue
        }
        if (batch.done === true) return
        yield Buffer.from(batch.value.join(''))
        next = source.next()
      }
    } finally {
      await source.return?.()
    }
  }
  const headers = { 'content-type': contentType, 'cache-control': 'no-store' }
  return new Response(ReadableStream.from(bytes()), { headers })
}

async function orQuiet<T>(next: Promise<T>): Promise<T | 'quiet'> {
  const { promise, resolve } = Promise.withResolvers<'quiet'>()
  const timer = setTimeout(resolve, quietMs, 'quiet')
  return await Promise.race([next, promise]).finally(() => clearTimeout(timer))
}
