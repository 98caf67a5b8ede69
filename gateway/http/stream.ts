/**
 * Stream: a streaming answer, pulled by the client: the next batch is requested when the socket has room.
 *
 *   S1. The first batch is requested before the answer begins, so a stream that cannot begin is refused with its own
 *       status. HEAD requests no batch.
 *   S2. However the answer ends, the batches are ended too, so that their `finally` runs: at the end, when the client
 *       has gone, or when it has read nothing for `unreadMs`.
 * @module
 */
import type { HttpContext } from './body.ts'

/** Aborted when the client has gone or the gateway stops. */
export function untilClosed(c: HttpContext, closing: AbortSignal): AbortSignal {
  return AbortSignal.any([c.req.raw.signal, closing])
}

/**
 * A filler is sent after this long without data: clients and proxies give up on a body that is silent for minutes.
 */
const quietMs = 15_000
const unreadAfterMs = 5000
/** Text without meaning: an empty line of NDJSON, a comment of server-sent events. */
const fillers: Readonly<Record<string, string>> = { 'text/event-stream': ':\n\n' }

/** @throws Whatever the batches throw before the first one. */
export async function streamResponse(
  c: HttpContext,
  contentType: string,
  batches: AsyncGenerator<readonly string[], void>,
  unreadMs = unreadAfterMs,
): Promise<Response> {
  const headers = { 'content-type': contentType, 'cache-control': 'no-store' }
  if (c.req.method === 'HEAD') return new Response(null, { headers })
  const filler = Buffer.from(fillers[contentType] ?? '\n')
  const first = await batches.next()
  let next: Promise<IteratorResult<readonly string[], void>> | undefined = Promise.resolve(first)
  const unread = setTimeout(() => void batches.return(), unreadMs)
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(unread)
        next ??= batches.next()
        const batch = await orQuiet(next)
        if (batch === 'quiet') return controller.enqueue(filler)
        if (batch.done) return controller.close()
        next = undefined
        controller.enqueue(Buffer.from(batch.value.join('')))
      },
      async cancel() {
        clearTimeout(unread)
        await batches.return()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers })
}

async function orQuiet<T>(next: Promise<T>): Promise<T | 'quiet'> {
  const { promise, resolve } = Promise.withResolvers<'quiet'>()
  const timer = setTimeout(resolve, quietMs, 'quiet')
  return await Promise.race([next, promise]).finally(() => clearTimeout(timer))
}
