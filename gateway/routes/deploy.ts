/**
 * Deploy over HTTP: a multipart body with a bundle or one source file and a manifest, or any other body as one source file.
 *
 * Bodies are read in full before anything is done with them, at most `atOnceMax` at a time, each part within its limit:
 * that bounds the memory of the gateway.
 */
import { createRoute } from '@hono/zod-openapi'
import { assetNamesSchema } from '../../sdk/api/assets.ts'
import { deployAnswerSchema, deployQuerySchema } from '../../sdk/api/index.ts'
import { CodedError } from '../../sdk/errors.ts'
import { refuse } from '../errors.ts'
import { bodyChunks, type HttpContext, readBody, refuseDeclaredLength } from '../http/body.ts'
import { parseDocument } from '../http/document.ts'
import { boundaryOf, readMultipart } from '../http/multipart.ts'
import { type App, binarySchema, jsonAnswer, problemAnswer, security } from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'
import { bundleBytesMax, sourceMapBytesMax, type Upload } from '../probe/index.ts'

const atOnceMax = 4
const bodyTimeoutMs = 60_000
const manifestBytesMax = 64 * 1024
const assetsBytesMax = 16 * 1024
const partLimits = {
  manifest: manifestBytesMax,
  bundle: bundleBytesMax,
  source: bundleBytesMax,
  sourceMap: sourceMapBytesMax,
  assets: assetsBytesMax,
}
const multipartBytesMax = manifestBytesMax + bundleBytesMax + sourceMapBytesMax + 64 * 1024

const deployRoute = createRoute({
  method: 'post',
  path: '/v1/functions',
  summary: 'Deploy a function',
  description:
    'Takes (as multipart) a manifest with a bundle or with one TypeScript or JavaScript source file, which may import only `concord`; or (as any other type) a source file alone. The same source gives the same bundle, whoever sends it. The function is loaded to read its metadata. A refused deploy leaves nothing behind.',
  security,
  request: {
    query: deployQuerySchema,
    body: {
      required: true,
      content: {
        'multipart/form-data': {
          schema: {
            type: 'object',
            properties: {
              manifest: { type: 'string', description: 'JSON: resources, limits, env …; at most 64 KiB' },
              bundle: { ...binarySchema, description: 'ES module without imports; at most 10 MiB' },
              source: {
                ...binarySchema,
                description: 'instead of a bundle: one source file; at most 10 MiB',
              },
              sourceMap: { ...binarySchema, description: 'source map of the bundle; at most 40 MiB' },
              assets: {
                type: 'string',
                description:
                  'JSON: by name, the sha256 of assets that were sent before; others stay as they are',
              },
            },
          },
        },
        '*/*': { schema: { ...binarySchema, description: 'one source file; at most 10 MiB' } },
      },
    },
  },
  responses: {
    200: jsonAnswer(deployAnswerSchema, 'the version that is wanted now'),
    default: problemAnswer,
  },
})

interface Read {
  readonly upload: Upload
  readonly manifest: unknown
  readonly assets?: Readonly<Record<string, string>>
}

export function deployRoutes(app: App, parts: GatewayParts): void {
  let reading = 0
  app.openapi(deployRoute, async (c) => {
    if (reading >= atOnceMax) {
      throw refuse(
        'ERR_BUSY',
        `Cannot take the upload now: ${reading} others are under way. Try again in a moment.`,
      )
    }
    reading += 1
    parts.deployer.expect()
    const stop = parts.clock.after(bodyTimeoutMs, () => void c.env.incoming.destroy())
    try {
      const { file, dryRun, accept, ...request } = c.req.valid('query')
      const { upload, manifest, assets } = await readUpload(c, file)
      stop()
      const answer = await parts.deployer.deploy(upload, manifest, request, assets, { dryRun, accept })
      const { name, version, changed } = answer
      const outcome = answer.dryRun ? 'dryRun' : changed ? 'changed' : 'unchanged'
      parts.metrics.deploys.inc({ outcome })
      parts.log.info({ function: name, version, changed }, dryRun ? 'judged, and not deployed' : 'deployed')
      return c.json(answer, 200)
    } catch (error) {
      parts.metrics.deploys.inc({ outcome: error instanceof CodedError ? error.code : 'ERR_INTERNAL' })
      throw error
    } finally {
      stop()
      reading -= 1
    }
  })
}

async function readUpload(c: HttpContext, file: string | undefined): Promise<Read> {
  const type = c.req.header('content-type') ?? ''
  if (!/^multipart\/form-data\b/i.test(type)) {
    return {
      upload: sourceOf(await readBody(c, 'the source file', bundleBytesMax), file),
      manifest: undefined,
    }
  }
  refuseDeclaredLength(c, 'the upload', multipartBytesMax)
  const found = await readMultipart(bodyChunks(c), boundaryOf(type), partLimits)
  return {
    upload: uploadOf(found, file),
    manifest: parseManifest(found.get('manifest')),
    assets: parseDocument(found.get('assets') ?? Buffer.of(), 'the assets', assetNamesSchema),
  }
}

function uploadOf(parts: ReadonlyMap<string, Buffer>, file: string | undefined): Upload {
  const [bundle, source, sourceMap] = ['bundle', 'source', 'sourceMap'].map((name) => parts.get(name))
  if (source !== undefined && (bundle ?? sourceMap) === undefined) return sourceOf(source, file)
  if (source === undefined && bundle !== undefined)
    return { kind: 'bundle', file: 'bundle.js', code: bundle, sourceMap: sourceMap ?? new Uint8Array(0) }
  const wrong =
    source === undefined
      ? "has no part 'bundle', nor a 'source'"
      : "has a part 'source', which goes without 'bundle' and 'sourceMap'"
  throw refuse('ERR_REQUEST_INVALID', `Cannot deploy: the multipart body ${wrong}.`)
}

function sourceOf(code: Uint8Array, file = 'function.ts'): Upload {
  return { kind: 'source', file, code, sourceMap: new Uint8Array(0) }
}

function parseManifest(bytes: Buffer | undefined): unknown {
  if (bytes === undefined || bytes.length === 0) return undefined
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw refuse(
      'ERR_MANIFEST_INVALID',
      `Cannot read the manifest: it is not JSON (${(error as Error).message}). It takes no comments, unlike concord.jsonc.`,
    )
  }
}
