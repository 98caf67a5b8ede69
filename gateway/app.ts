/**
 * App: the HTTP API as one router. The definitions of the routes validate requests and generate the OpenAPI document.
 *
 *   A1. Only `openPaths` are answered without the token: the check comes before every route. The one exception is the
 *       runner's archive, whose path carries a signature.
 *   A2. Every error leaves as problem+json.
 *   A3. A query parameter that a route does not know is refused.
 *   A4. A JSON answer ends with a line break, for those who read it in a terminal.
 * @module
 */
import type { HttpBindings } from '@hono/node-server'
import { OpenAPIHono, type z } from '@hono/zod-openapi'
import { HTTPException } from 'hono/http-exception'
import { routePath } from 'hono/route'
import packageJson from '../package.json' with { type: 'json' }
import { problemSchema } from '../sdk/api/index.ts'
import { issuesText, wrongOf } from '../sdk/manifest/expected.ts'
import { manifestSchema } from '../sdk/manifest/manifest.ts'
import { refuse } from './errors.ts'
import { bearerAuth } from './http/auth.ts'
import { problemOf, problemResponse } from './http/problem.ts'
import { knownQueryOnly } from './http/query.ts'
import type { App } from './http/routes.ts'
import type { GatewayParts } from './parts.ts'
import { assetRoutes } from './routes/assets.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { deployRoutes } from './routes/deploy.ts'
import { functionRoutes } from './routes/functions.ts'
import { healthRoutes } from './routes/health.ts'
import { type RunnerDownload, runnerRoute } from './routes/runner.ts'
import { shadowRoutes } from './routes/shadows.ts'
import { stateRoutes } from './routes/state.ts'
import { streamRoutes } from './routes/streams.ts'
import { tapRoutes } from './routes/tap.ts'
import { versionRoutes } from './routes/versions.ts'

export function makeApp(parts: GatewayParts, token: string, runner?: RunnerDownload): App {
  const app: App = new OpenAPIHono<{ Bindings: HttpBindings }>({
    defaultHook: (result) => {
      if (result.success) return
      const { data } = result as { data?: unknown } // the checked value, which the type does not declare
      const { target, error } = result
      throw refuse(
        'ERR_REQUEST_INVALID',
        target === 'param'
          ? pathText(error, data)
          : `Cannot read the request's ${target}: ${issuesText(error, data)}.`,
      )
    },
  })
  app.use('*', async (c, next) => {
    await next()
    const isJson = /^application\/(problem\+)?json\b/.test(c.res.headers.get('content-type') ?? '')
    if (isJson) c.res = new Response(`${await c.res.text()}\n`, c.res) // A4
  })
  // While the gateway stops, a new request should go to another gateway, over another connection: this one must close.
  app.use('*', async (_c, next) => {
    if (!parts.closing.aborted) return await next()
    const answer = problemResponse(problemOf(parts.closing.reason))
    answer.headers.set('connection', 'close')
    return answer
  })
  app.use('*', async (c, next) => {
    const startMs = parts.clock.monotonicMs()
    await next()
    const labels = { method: c.req.method, route: routePath(c, -1), status: String(c.res.status) }
    parts.metrics.requests.observe(labels, (parts.clock.monotonicMs() - startMs) / 1000)
  })
  if (runner !== undefined) runnerRoute(app, runner, parts.clock)
  app.use('*', bearerAuth(token))
  app.use('/v1/*', knownQueryOnly(app))
  app.onError((error, c) => {
    const answer = problemOf(error instanceof HTTPException ? fromFramework(error) : error)
    const gone = c.env.incoming.destroyed && !c.env.incoming.complete // the caller hung up in the middle of a body
    if (answer.bug && !gone)
      parts.log.error({ err: error, method: c.req.method, path: c.req.path }, 'a request failed')
    return problemResponse(answer)
  })
  app.notFound((c) => {
    const text = `There is nothing at ${c.req.method} ${c.req.path}. GET /v1/openapi.json lists what there is.`
    return problemResponse(problemOf(refuse('ERR_ROUTE_UNKNOWN', text)))
  })
  healthRoutes(app, parts)
  deployRoutes(app, parts)
  assetRoutes(app, parts)
  functionRoutes(app, parts)
  tapRoutes(app, parts)
  stateRoutes(app, parts)
  versionRoutes(app, parts)
  streamRoutes(app, parts)
  shadowRoutes(app, parts)
  deadLetterRoutes(app, parts)
  let document: object | undefined // made when somebody asks: it takes a sixth of what a gateway needs to start
  app.get('/v1/openapi.json', (c) => {
    document ??= openApiDocument(app)
    return c.json(document)
  })
  return app
}

/** The OpenAPI 3.1 document of the routes registered so far. */
export function openApiDocument(app: App): object {
  app.openAPIRegistry.register('Problem', problemSchema)
  app.openAPIRegistry.register('Manifest', manifestSchema)
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Concord',
      version: packageJson.version,
      description: 'Deploy functions, publish records, follow streams.',
    },
  })
}

function fromFramework(error: HTTPException): Error {
  const code = error.status === 415 ? 'ERR_MEDIA_TYPE' : 'ERR_REQUEST_INVALID'
  return refuse(code, `Cannot read the request: ${error.message}.`)
}

/**
 * What is wrong with a part of the path, in words for a caller who typed a name into a tool and does not know about
 * paths.
 */
function pathText({ issues: [issue] }: z.ZodError, data: unknown): string {
  const { path, text } = wrongOf(issue!, data)
  return `Cannot use the ${path.join('.')} in the path: ${text}.`
}
