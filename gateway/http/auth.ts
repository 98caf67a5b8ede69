/**
 * Auth: one bearer token, compared by digest in constant time. Deny by default: without the token every path outside
 * `openPaths` answers 401, whether it exists or not.
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { refuse } from '../errors.ts'

/** Paths that need no token: nothing there is secret. */
export const openPaths: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/v1/openapi.json'])

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

export function bearerAuth(token: string): MiddlewareHandler {
  const expected = digest(token)
  return async (c, next) => {
    const given = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1]
    if (!openPaths.has(c.req.path) && (given === undefined || !timingSafeEqual(digest(given), expected))) {
      const found =
        given === undefined ? 'no bearer token was sent' : 'the token is not the one of this gateway'
      throw refuse(
        'ERR_UNAUTHORIZED',
        `Not allowed: ${found}. Send 'Authorization: Bearer TOKEN' with the content of the gateway's token file (\`gateway.tokenFile\`).`,
      )
    }
    await next()
  }
}
