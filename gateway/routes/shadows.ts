/** Shadows of a function: what was found of a version, its differences one by one, and bringing it into force. */
import { createRoute, z } from '@hono/zod-openapi'
import { deployAnswerSchema } from '../../sdk/api/index.ts'
import { promoteSchema, shadowDifferencesSchema } from '../../sdk/api/shadow.ts'
import { shadowViewSchema } from '../../sdk/versions/shadow-schema.ts'
import { functionIn, type LiveFunction } from '../catalog/catalog.ts'
import { readDocument } from '../http/document.ts'
import { type App, bodySchema, jsonAnswer, nameParam, problemAnswer, security } from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'
import { differencesOf, shadowOf } from '../versions/shadows.ts'

const versionQuery = z.object({ version: z.coerce.number().int().min(1).optional() })

const show = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/shadow',
  summary: 'Read the report of a shadow version',
  description: 'By default the current shadow, else the newest.',
  security,
  request: { params: nameParam, query: versionQuery },
  responses: { 200: jsonAnswer(shadowViewSchema, 'what was found'), default: problemAnswer },
})

const list = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/shadow/differences',
  summary: 'List the records whose outputs differ under a shadow version, with both outputs',
  description: 'An answer with `next` is partial: ask again with it as `after`.',
  security,
  request: {
    params: nameParam,
    query: versionQuery.extend({ after: z.coerce.number().int().min(0).default(0) }),
  },
  responses: {
    200: jsonAnswer(shadowDifferencesSchema, 'differences, in the order in which they were found'),
    default: problemAnswer,
  },
})

const promote = createRoute({
  method: 'post',
  path: '/v1/functions/{name}/promote',
  summary: 'Make a shadow version live',
  description:
    'By default the current shadow, else the newest. The rest of its `rollout` applies (canary, waves).',
  security,
  request: {
    params: nameParam,
    body: { content: { 'application/json': { schema: bodySchema(promoteSchema) } } },
  },
  responses: {
    200: jsonAnswer(deployAnswerSchema, 'the version that is wanted now'),
    default: problemAnswer,
  },
})

export function shadowRoutes(app: App, parts: GatewayParts): void {
  const { catalog, deployer, differences, log } = parts
  const live = async (name: string): Promise<LiveFunction> => {
    await catalog.refresh()
    return functionIn(catalog.current, name)
  }
  const found = async (name: string, version: number | undefined) =>
    await shadowOf({ ...parts, nowMs: parts.clock.nowMs() }, await live(name), version)
  app.openapi(show, async (c) =>
    c.json(await found(c.req.valid('param').name, c.req.valid('query').version), 200),
  )
  app.openapi(list, async (c) => {
    const { name } = c.req.valid('param')
    const { version, after } = c.req.valid('query')
    const shadow = await found(name, version)
    return c.json(await differencesOf(differences, name, shadow.version, after), 200)
  })
  app.openapi(promote, async (c) => {
    const { name } = c.req.valid('param')
    const { to } = await readDocument(c, 'what to promote', promoteSchema)
    const answer = await deployer.promote(name, to)
    log.info({ function: name, version: answer.version }, 'promoted')
    return c.json(answer, 200)
  })
}
