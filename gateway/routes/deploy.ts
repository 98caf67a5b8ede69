/**
 * Deploy over HTTP: a multipart body with a bundle or one source file and a manifest, or any other body as one source file.
 *
 * Bodies are read in full before anything is done with them, at most `atOnceMax` at a time, each part within its limit:
 * that bounds the memory of the gateway.
 */
import { createRoute, z } from '@hono/zod-openapi'
import { assetNamesSchema } from '../../sdk/api/assets.ts'
import { deployAnswerSchema, deployQuerySchema } from '../../sdk/api/index.ts'
import { CodedError } from '../../sdk/errors.ts'
import { type Size, settable } from '../deploy/resources.ts'
import { refuse } from '../errors.ts'
import { bodyChunks, type HttpContext, readBody, refuseDeclaredLength } from '../http/body.ts'
import { parseDocument } from '../http/document.ts'
import { boundaryOf, readMultipart } from '../http/multipart.ts'
import { type App, binarySchema, flagQuery, jsonAnswer, problemAnswer, security } from '../http/routes.ts'
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

const fileName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/

const sizeNames = new RegExp(`^(${settable.join('|')})(,(${settable.join('|')}))*$`)

const deployRoute = createRoute({
  method: 'post',
  path: '/v1/functions',
  summary: 'Deploy a function',
  description:
    'Takes a bundle, or one TypeScript or JavaScript source file that may import `concord` only, with a manifest (multipart); or a source file alone (any other type). The same source is the same bundle, however it comes. The function is loaded to read its metadata; what is refused leaves nothing behind.',
  security,
  request: {
    query: z.object({
      file: z
        .string()
        .regex(fileName, 'expected a plain file name')
        .optional()
        .meta({ description: 'name of the source file in errors' }),
      ...deployQuerySchema.shape,
      instances: deployQuerySchema.shape.instances.meta({
        description:
          'so many instances; by default as many as there are, or as the manifest says if its own number has changed',
      }),
      drain: flagQuery.meta({
        description:
          'end the instances in order and start others, even where the version could change in place',
      }),
      ownSizes: z
        .string()
        .regex(sizeNames, `expected ${settable.join(', ')}, or several of them with commas between`)
        .transform((text) => text.split(',') as Size[])
        .optional()
        .meta({
          description: `sizes that are to be those of its manifest, whatever was set by hand while it ran: ${settable.join(', ')}, with commas between`,
        }),
      dryRun: flagQuery.meta({
        description: 'judge it on what came lately, beside the version at work, and change nothing',
      }),
      accept: flagQuery.meta({ description: 'go on where its gate asks' }),
    }),
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
                description: 'in place of a bundle: one source file; at most 10 MiB',
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
    const stop = parts.clock.after(bodyTimeoutMs, () => void c.env.incoming.destroy())
    try {
      const { file, dryRun, accept, ...said } = c.req.valid('query')
      const { upload, manifest, assets } = await readUpload(c, file)
      stop()
      const answer = await parts.deployer.deploy(upload, manifest, said, assets, { dryRun, accept })
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
    return { upload: sourceOf(await readBody(c, 'source file', bundleBytesMax), file), manifest: undefined }
  }
  refuseDeclaredLength(c, 'upload', multipartBytesMax)
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
      `Cannot read the manifest: it is not JSON (${(error as Error).message}).`,
    )
  }
}
