/**
 * Assets: contents under their hash, sent as a stream; and which of them a function has, each change a version.
 *
 * A content that is refused, or does not come to its end, leaves nothing behind.
 */
import { createRoute, z } from '@hono/zod-openapi'
import { assetListSchema, assetPatchSchema, assetRefSchema, sha256Schema } from '../../sdk/api/assets.ts'
import { deployAnswerSchema } from '../../sdk/api/index.ts'
import { assetBytesMax } from '../../sdk/manifest/assets.ts'
import { functionIn } from '../catalog/catalog.ts'
import { unknownContent } from '../deploy/assets.ts'
import { stored } from '../deploy/store-trouble.ts'
import { refuse } from '../errors.ts'
import { bodyChunks, type HttpContext, paced, refuseDeclaredLength, tooLarge } from '../http/body.ts'
import { readDocument } from '../http/document.ts'
import {
  type App,
  binarySchema,
  bodySchema,
  jsonAnswer,
  nameParam,
  problemAnswer,
  security,
} from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'

const atOnceMax = 4
/** A slower upload is ended: others need its place. */
const pace = { bytes: 64 * 1024, ms: 30_000 }

const contentParam = z.object({ sha256: sha256Schema })

const ask = createRoute({
  method: 'get',
  path: '/v1/assets/{sha256}',
  summary: 'Ask whether the server has the content of an asset; it is then kept for at least an hour',
  security,
  request: { params: contentParam },
  responses: { 200: jsonAnswer(assetRefSchema, 'it is there'), default: problemAnswer },
})

const upload = createRoute({
  method: 'put',
  path: '/v1/assets/{sha256}',
  summary: 'Upload the content of an asset, under its sha256',
  description:
    'At most 512 MiB, as a stream. Content with another hash is refused. Content that no version refers to is deleted after an hour.',
  security,
  request: {
    params: contentParam,
    body: { required: true, content: { '*/*': { schema: binarySchema } } },
  },
  responses: { 200: jsonAnswer(assetRefSchema, 'it is there'), default: problemAnswer },
})

const list = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/assets',
  summary: 'List the assets of a function, in its wanted version',
  security,
  request: { params: nameParam },
  responses: { 200: jsonAnswer(assetListSchema, 'its assets'), default: problemAnswer },
})

const change = createRoute({
  method: 'patch',
  path: '/v1/functions/{name}/assets',
  summary: 'Change the assets of a function: a new version of the same bundle and manifest',
  security,
  request: {
    params: nameParam,
    body: { content: { 'application/json': { schema: bodySchema(assetPatchSchema) } } },
  },
  responses: {
    200: jsonAnswer(deployAnswerSchema, 'the version that is wanted now'),
    default: problemAnswer,
  },
})

export function assetRoutes(app: App, parts: GatewayParts): void {
  const { assets, catalog, deployer, clock, log } = parts
  let reading = 0
  app.openapi(ask, async (c) => {
    const { sha256 } = c.req.valid('param')
    const bytes = await assets.keep(sha256)
    if (bytes === undefined) throw unknownContent(sha256)
    return c.json({ sha256, bytes }, 200)
  })
  app.openapi(upload, async (c) => {
    const { sha256 } = c.req.valid('param')
    refuseDeclaredLength(c, 'the asset', assetBytesMax)
    if (reading >= atOnceMax)
      throw refuse(
        'ERR_BUSY',
        `Cannot take the asset now: ${reading} others are under way. Try again in a moment.`,
      )
    reading += 1
    try {
      const bytes = await stored('the asset', () => assets.put(sha256, watched(c)))
      log.info({ sha256, bytes }, 'an asset is stored')
      return c.json({ sha256, bytes }, 200)
    } finally {
      reading -= 1
    }
  })
  app.openapi(list, async (c) => {
    const { name } = c.req.valid('param')
    await catalog.refresh()
    const live = functionIn(catalog.current, name)
    const { version, assets: named = {} } = live.version
    return c.json({ name, version, assets: named }, 200)
  })
  app.openapi(change, async (c) => {
    const { name } = c.req.valid('param')
    const {
      assets: changes,
      dryRun,
      accept,
      ...request
    } = await readDocument(c, 'the assets', assetPatchSchema)
    const answer = await deployer.changeAssets(name, changes, request, { dryRun, accept })
    parts.metrics.deploys.inc({ outcome: answer.changed ? 'changed' : 'unchanged' })
    log.info({ function: name, version: answer.version, changed: answer.changed }, 'assets changed')
    return c.json(answer, 200)
  })

  /** The body, as long as it keeps pace and is not too large. */
  async function* watched(c: HttpContext): AsyncGenerator<Uint8Array> {
    let bytes = 0
    const onSlow = (): void => void c.env.incoming.destroy()
    for await (const chunk of paced(bodyChunks(c), { ...pace, clock, onSlow })) {
      bytes += chunk.length
      if (bytes > assetBytesMax) throw tooLarge('the asset', assetBytesMax)
      yield chunk
    }
  }
}
