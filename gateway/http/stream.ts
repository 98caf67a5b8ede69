/**
 * Stream: an answer that goes on, pulled by the client: the next batch is asked for when the socket has room.
 *
 *   S1. Batches are asked for from the first on before the answer begins: what cannot begin is refused with its status.
 *       HEAD asks for none.
 *   S2. However it ends, the batches are ended too, so that their `finally` runs: at their end, when the client has gone,
 *       or when nobody has read a byte for `unreadMs`.
 * @module
 */
import type { HttpContext } from './body.ts'

/** Aborted when the client has gone or the gateway stops. */
export function untilClosed(c: HttpContext, closing: AbortSignal): AbortSignal {
  return AbortSignal.any([c.req.raw.signal, closing])
}

/** Clients and what stands between give up on a body that is silent for minutes. */
const quietMs = 15_000
const unreadAfterMs = 5000
/** Says nothing: an empty line of NDJSON, a comment of server-sent events. */
const fillers: Readonly<Record<string, string>> = { 'text/event-stream': ':\n\n' }

/** @throws What the batches throw before the first one. */
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
