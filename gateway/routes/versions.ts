/** Versions of a function: list, show, compare, and go back. */
import { createRoute, z } from '@hono/zod-openapi'
import {
  deployAnswerSchema,
  rollbackSchema,
  versionDetailSchema,
  versionDiffSchema,
  versionSummarySchema,
} from '../../sdk/api/index.ts'
import { sourcesKindSchema, versionSourcesSchema } from '../../sdk/api/sources.ts'
import { functionIn } from '../catalog/catalog.ts'
import { readDocument } from '../http/document.ts'
import { type App, bodySchema, jsonAnswer, nameParam, problemAnswer, security } from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'
import { sourcesOf } from '../versions/sources.ts'
import { diffVersions, listVersions, readVersion } from '../versions/versions.ts'

const versionNumber = z.coerce.number().int().min(1)

const list = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/versions',
  summary: 'List the versions of a function, the newest first, and what became of each',
  security,
  request: { params: nameParam },
  responses: {
    200: jsonAnswer(z.object({ versions: z.array(versionSummarySchema) }), 'the newest 100'),
    default: problemAnswer,
  },
})

const show = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/versions/{version}',
  summary: 'Show a version with its manifest',
  security,
  request: { params: nameParam.extend({ version: versionNumber }) },
  responses: { 200: jsonAnswer(versionDetailSchema, 'the version'), default: problemAnswer },
})

const diff = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/diff',
  summary: 'Compare two versions',
  security,
  request: { params: nameParam, query: z.object({ from: versionNumber, to: versionNumber }) },
  responses: { 200: jsonAnswer(versionDiffSchema, 'what differs'), default: problemAnswer },
})

const sources = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/versions/{version}/sources',
  summary: 'Read the source code of a version',
  description:
    'From the source map that came with it. Without one, or with `kind=bundle`: the bundle that runs.',
  security,
  request: {
    params: nameParam.extend({ version: versionNumber }),
    query: z.object({ kind: sourcesKindSchema.default('source') }),
  },
  responses: { 200: jsonAnswer(versionSourcesSchema, 'the files'), default: problemAnswer },
})

const rollback = createRoute({
  method: 'post',
  path: '/v1/functions/{name}/rollback',
  summary:
    'Go back to an earlier version, by default the last one before the live version that ran and was not rolled back',
  security,
  request: {
    params: nameParam,
    body: { content: { 'application/json': { schema: bodySchema(rollbackSchema) } } },
  },
  responses: {
    200: jsonAnswer(deployAnswerSchema, 'the version that is wanted now'),
    default: problemAnswer,
  },
})

export function versionRoutes(app: App, parts: GatewayParts): void {
  const { catalog, store, namespace, deployer, log } = parts
  const live = (name: string) => functionIn(catalog.current, name)
  app.openapi(list, async (c) => {
    await catalog.refresh()
    const versions = await listVersions(store, namespace, live(c.req.valid('param').name))
    return c.json({ versions }, 200)
  })
  app.openapi(show, async (c) => {
    const { name, version } = c.req.valid('param')
    return c.json(await readVersion(store, namespace, live(name), version), 200)
  })
  app.openapi(sources, async (c) => {
    const { name, version } = c.req.valid('param')
    await catalog.refresh()
    return c.json(await sourcesOf(parts, live(name), version, c.req.valid('query').kind), 200)
  })
  app.openapi(diff, async (c) => {
    const { from, to } = c.req.valid('query')
    return c.json(await diffVersions(store, namespace, live(c.req.valid('param').name), from, to), 200)
  })
  app.openapi(rollback, async (c) => {
    const { name } = c.req.valid('param')
    const { to, ...request } = await readDocument(c, 'where to go back to', rollbackSchema)
    const answer = await deployer.rollback(name, to, request)
    log.info({ function: name, version: answer.version }, 'rolled back')
    return c.json(answer, 200)
  })
}
