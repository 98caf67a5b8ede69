/**
 * Body: a request's body, in chunks as they arrive or whole within a limit. Bytes are counted on arrival, because a
 * declared length may be absent (chunked) or false.
 * @module
 */
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { Clock } from '../../infra/clock.ts'
import { refuse } from '../errors.ts'

export type HttpContext = Context<{ Bindings: HttpBindings }>

/** The chunks of the body. Leaving the loop early leaves the connection open, so that an answer can be sent. */
export function bodyChunks(c: HttpContext): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => c.env.incoming.iterator({ destroyOnReturn: false }) }
}

export interface Pace {
  readonly clock: Clock
  /** At least `bytes` must arrive in each `ms` of waiting; time spent on a chunk does not count. */
  readonly bytes: number
  readonly ms: number
  /** Called when the body is too slow; it has to end the body. */
  readonly onSlow: () => void
}

/**
 * The same chunks, as long as they keep pace: a client that sends a byte now and then would otherwise occupy a place
 * for ever.
 */
export async function* paced(
  chunks: AsyncIterable<Uint8Array>,
  { clock, bytes, ms, onSlow }: Pace,
): AsyncGenerator<Uint8Array> {
  let came = 0
  let leftMs = ms
  let sinceMs = clock.monotonicMs()
  let cancel = clock.after(leftMs, onSlow)
  try {
    for await (const chunk of chunks) {
      cancel()
      came += chunk.length
      leftMs -= clock.monotonicMs() - sinceMs
      if (came >= bytes) [came, leftMs] = [0, ms]
      yield chunk
      sinceMs = clock.monotonicMs()
      cancel = clock.after(leftMs, onSlow)
    }
  } finally {
    cancel()
  }
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
  return refuse('ERR_TOO_LARGE', `Cannot take ${what}: it is larger than ${bytesMax} bytes. Make it smaller.`)
}
