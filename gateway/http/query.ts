/**
 * Query: refuses query parameters that a route does not know, like unknown keys of a body. Otherwise a mistyped
 * filter would return everything, and `?to=1` on a route that expects `to` in the body would act on another version.
 * @module
 */
import type { z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import { refuse } from '../errors.ts'
import type { App } from './routes.ts'

export function knownQueryOnly(app: App): MiddlewareHandler {
  return async (c, next) => {
    const keys = Object.keys(c.req.query())
    const path = routePath(c, -1).replaceAll(/:(\w+)/g, '{$1}')
    const known = keys.length === 0 ? undefined : knownOf(app, c.req.method, path)
    const unknown = known === undefined ? [] : keys.filter((key) => !known.includes(key))
    if (unknown.length > 0) throw refused(c.req.method, path, unknown, known!)
    await next()
  }
}

/** The parameters in the definition of a route; undefined: no route has one. */
function knownOf(app: App, used: string, path: string): string[] | undefined {
  const method = used === 'HEAD' ? 'get' : used.toLowerCase()
  for (const definition of app.openAPIRegistry.definitions) {
    if (definition.type !== 'route') continue
    const { route } = definition
    if (route.path !== path || route.method !== method) continue
    return Object.keys((route.request?.query as z.ZodObject | undefined)?.shape ?? {})
  }
  return undefined
}

function refused(method: string, path: string, unknown: readonly string[], known: readonly string[]): Error {
  const keys = unknown.map((key) => `'${key}'`).join(', ')
  const those = known.length === 0 ? 'takes none' : `takes ${known.join(', ')}`
  return refuse(
    'ERR_REQUEST_INVALID',
    `Cannot read the request's query: unknown key ${keys}; ${method} ${path} ${those}.`,
  )
}
