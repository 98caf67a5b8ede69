/** Dead letters: list, show, redrive, remove. */
import { createRoute, z } from '@hono/zod-openapi'
import {
  deadLetterListQuerySchema,
  deadLetterListSchema,
  deadLetterSchema,
  redriveAnswerSchema,
  redriveRequestSchema,
  removeLettersAnswerSchema,
  removeLettersRequestSchema,
} from '../../sdk/api/index.ts'
import { issuesText } from '../../sdk/manifest/expected.ts'
import { refuse } from '../errors.ts'
import { type HttpContext, readBody } from '../http/body.ts'
import { type App, bodySchema, jsonAnswer, problemAnswer, security } from '../http/routes.ts'
import { untilClosed } from '../http/stream.ts'
import type { GatewayParts } from '../parts.ts'

const requestBytesMax = 64 * 1024

const list = createRoute({
  method: 'get',
  path: '/v1/dead-letters',
  summary: 'List dead letters, oldest first: those that wait, or those in another `state`',
  security,
  request: { query: deadLetterListQuerySchema },
  responses: { 200: jsonAnswer(deadLetterListSchema, 'those meant, up to `limit`'), default: problemAnswer },
})

const show = createRoute({
  method: 'get',
  path: '/v1/dead-letters/{id}',
  summary: 'Show a dead letter: the record with its bytes, and the error with its stack',
  security,
  request: { params: z.object({ id: z.string() }) },
  responses: { 200: jsonAnswer(deadLetterSchema, 'the letter'), default: problemAnswer },
})

const redrive = createRoute({
  method: 'post',
  path: '/v1/dead-letters/redrive',
  summary:
    'Redrive: send the records of dead letters back to their input streams, in order, each at most once',
  description:
    'Every function that reads such a stream gets them. `dryRun` shows what would be done. An answer with `next` is partial: ask again with it as `after`.',
  security,
  request: {
    body: {
      required: true,
      content: { 'application/json': { schema: bodySchema(redriveRequestSchema) } },
    },
  },
  responses: { 200: jsonAnswer(redriveAnswerSchema, 'what was done'), default: problemAnswer },
})

const remove = createRoute({
  method: 'post',
  path: '/v1/dead-letters/remove',
  summary: 'Remove dead letters, oldest first, and free their room',
  description:
    'The request says which: at least one of `function`, `error`, `key`, `sinceMs`, `untilMs`, `ids` and `state`. Letters that failed together are stored together: their room is free once all of them are removed (`freedBytes`). `dryRun` shows what would be done. An answer with `next` is partial: ask again with it as `after`.',
  security,
  request: {
    body: {
      required: true,
      content: { 'application/json': { schema: bodySchema(removeLettersRequestSchema) } },
    },
  },
  responses: { 200: jsonAnswer(removeLettersAnswerSchema, 'what was done'), default: problemAnswer },
})

export function deadLetterRoutes(app: App, { deadLetters, closing }: GatewayParts): void {
  app.openapi(list, async (c) => c.json(await deadLetters.list(c.req.valid('query')), 200))
  app.openapi(show, async (c) => c.json(await deadLetters.show(c.req.valid('param').id), 200))
  app.openapi(redrive, async (c) => {
    const request = await readRequest(c, 'what to redrive', redriveRequestSchema)
    return c.json(await deadLetters.redrive(request, untilClosed(c, closing)), 200)
  })
  app.openapi(remove, async (c) => {
    const request = await readRequest(c, 'what to remove', removeLettersRequestSchema)
    return c.json(await deadLetters.remove(request), 200)
  })
}

async function readRequest<S extends z.ZodType>(
  c: HttpContext,
  what: string,
  schema: S,
): Promise<z.output<S>> {
  const bytes = await readBody(c, 'the request', requestBytesMax)
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw refuse(
      'ERR_REQUEST_INVALID',
      `Cannot read ${what}: it is not JSON. Expected an object as in \`{"function":"score"}\`.`,
    )
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw refuse('ERR_REQUEST_INVALID', `Cannot read ${what}: ${issuesText(parsed.error, json)}`)
}
