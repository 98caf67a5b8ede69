/**
 * Query: refuses query parameters that a route does not know, like unknown keys of a body. Otherwise a mistyped
 * filter would return everything, and `?to=1` on a route that expects `to` in the body would act on another version.
 * @module
 */
import type { MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import { refuse } from '../errors.ts'

/** The part of an OpenAPI document that says which parameters each route has. */
interface Document {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
}

/** @param documentOf Called at a request, when all routes are registered. */
export function knownQueryOnly(documentOf: () => Document): MiddlewareHandler {
  return async (c, next) => {
    const query = c.req.query()
    const path = routePath(c, -1).replaceAll(/:(\w+)/g, '{$1}')
    const method = c.req.method === 'HEAD' ? 'get' : c.req.method.toLowerCase()
    const operation = documentOf().paths?.[path]?.[method] as Operation | undefined
    if (operation !== undefined && Object.keys(query).length > 0) {
      const parameters = operation.parameters ?? []
      const known = parameters.filter((one) => one.in === 'query').map(({ name }) => name)
      const unknown = Object.keys(query).filter((key) => !known.includes(key))
      if (unknown.length > 0) throw refused(c.req.method, path, unknown, known)
    }
    await next()
  }
}

function refused(method: string, path: string, unknown: readonly string[], known: readonly string[]): Error {
  const keys = unknown.map((key) => `'${key}'`).join(', ')
  const those = known.length === 0 ? 'takes none' : `takes ${known.join(', ')}`
  return refuse(
    'ERR_REQUEST_INVALID',
    `Cannot read the request's query: unknown key ${keys}; ${method} ${path} ${those}.`,
  )
}
