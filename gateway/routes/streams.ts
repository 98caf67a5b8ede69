/** Streams: list, inspect, make, publish, follow. */
import { createRoute, z } from '@hono/zod-openapi'
import {
  type FollowEvent,
  flagQuery,
  followEventSchema,
  produceAnswerSchema,
  type RecordOutput,
  recordInputSchema,
  recordOutputSchema,
  streamConfigSchema,
  streamPutSchema,
  streamSummarySchema,
} from '../../sdk/api/index.ts'
import { streamDetailSchema } from '../../sdk/api/readers.ts'
import { putStream, removeStream } from '../by-hand/streams.ts'
import { streamHeldBackBy } from '../catalog/held-back.ts'
import { readersOf } from '../catalog/readers.ts'
import { streamSummary, tasksAtWork } from '../catalog/views.ts'
import { unknownStream } from '../errors.ts'
import { type FollowFormat, formatFor } from '../follow/encode.ts'
import { HoldingFollower } from '../follow/hold.ts'
import { bodyChunks, type HttpContext } from '../http/body.ts'
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
import { streamResponse, untilClosed } from '../http/stream.ts'
import { roomWaitMs } from '../ingest/ingest.ts'
import { publish } from '../ingest/publish.ts'
import { recordReader, recordsType } from '../ingest/record-reader.ts'
import { cutOffFromNats, type GatewayParts } from '../parts.ts'

const pieceChars = 16 * 1024

const list = createRoute({
  method: 'get',
  path: '/v1/streams',
  summary: 'List the streams',
  security,
  responses: {
    200: jsonAnswer(z.object({ streams: z.array(streamSummarySchema) }), 'all of them'),
    default: problemAnswer,
  },
})

const inspect = createRoute({
  method: 'get',
  path: '/v1/streams/{name}',
  summary: 'Inspect a stream: who writes it, and for each reader how many of its records wait',
  security,
  request: { params: nameParam },
  responses: { 200: jsonAnswer(streamDetailSchema, 'the stream'), default: problemAnswer },
})

const put = createRoute({
  method: 'put',
  path: '/v1/streams/{name}',
  summary: 'Create a stream, or change whether its records are republished raw',
  security,
  request: {
    params: nameParam,
    body: { content: { 'application/json': { schema: bodySchema(streamConfigSchema) } } },
  },
  responses: { 200: jsonAnswer(streamPutSchema, 'the stream'), default: problemAnswer },
})

const remove = createRoute({
  method: 'delete',
  path: '/v1/streams/{name}',
  summary: 'Remove a stream that no function or reader uses',
  security,
  request: { params: nameParam },
  responses: { 204: { description: 'it is gone' }, default: problemAnswer },
})

const produce = createRoute({
  method: 'post',
  path: '/v1/streams/{name}/records',
  summary: 'Publish records',
  description: `Records are accepted in order as they arrive. A refusal half-way says how many were accepted (\`accepted\`): continue after those. While the stream is full, the rest of the body is left unread until there is room; once that lasts ${roomWaitMs / 1000} s without any, the answer is 429: continue after Retry-After. A stream that gets some room within that time takes the body at the pace of its consumers, with no limit on the whole: send smaller bodies for earlier answers.`,
  security,
  request: {
    params: nameParam,
    body: {
      required: true,
      content: {
        'application/x-ndjson': { schema: bodySchema(recordInputSchema) },
        [recordsType]: {
          schema: {
            ...binarySchema,
            description: 'u32 LE key length, u32 LE value length, key, value; repeated',
          },
        },
      },
    },
  },
  responses: { 200: jsonAnswer(produceAnswerSchema, 'all were taken'), default: problemAnswer },
})

const follow = createRoute({
  method: 'get',
  path: '/v1/streams/{name}/records',
  summary: 'Follow a stream: the event `ready`, then records as they pass, and gaps as events',
  description:
    'With `hold` the stream waits for this reader, so that it misses nothing. After a broken connection, `instead` with the `reader` of the last `ready` continues after what was acknowledged for that reader, while the stream still waits for it (`resumed`); a few records may come again. The Accept header may ask for server-sent events.',
  security,
  request: {
    params: nameParam,
    query: z.object({
      hold: flagQuery,
      count: z.coerce.number().int().min(1).optional(),
      instead: z
        .string()
        .regex(/^[0-9a-f]{16}$/)
        .optional(),
    }),
  },
  responses: {
    200: {
      description: 'one RecordOutput or FollowEvent per line',
      content: {
        'application/x-ndjson': { schema: bodySchema(z.union([recordOutputSchema, followEventSchema])) },
        'text/event-stream': { schema: { type: 'string' } },
      },
    },
    default: problemAnswer,
  },
})

export function streamRoutes(app: App, parts: GatewayParts): void {
  const { catalog, heartbeats, accountsOf, store, namespace, deployer, ingest, clock, closing, metrics } =
    parts

  app.openapi(list, (c) => c.json({ streams: [...catalog.current.streams.values()].map(streamSummary) }, 200))

  app.openapi(inspect, async (c) => {
    const { name } = c.req.valid('param')
    await mustExist(parts, name)
    const { current } = catalog
    await heartbeats.firstBeats(tasksAtWork(current.functions.values()))
    const stream = current.streams.get(name)!
    const readers = await readersOf(stream, current, heartbeats, accountsOf)
    const { outputs } = await accountsOf()
    const heldBack = streamHeldBackBy(name, { view: current, heartbeats, outputs })
    const detail = {
      ...cutOffFromNats(parts),
      ...{ ...streamSummary(stream), readers },
      ...(heldBack.length > 0 && { heldBackBy: heldBack }),
    }
    return c.json(detail, 200)
  })

  app.openapi(put, async (c) => {
    const { name } = c.req.valid('param')
    const created = await putStream(
      store,
      namespace,
      name,
      await readDocument(c, "the stream's configuration", streamConfigSchema),
    )
    await catalog.refresh()
    return c.json({ ...streamSummary(catalog.current.streams.get(name)!), created }, 200)
  })

  app.openapi(remove, async (c) => {
    const { name } = c.req.valid('param')
    await deployer.inTurn(() => removeStream(store, namespace, catalog, name))
    return c.body(null, 204)
  })

  app.openapi(produce, async (c) => {
    const { name } = c.req.valid('param')
    await mustExist(parts, name)
    const reader = recordReader(c.req.header('content-type') ?? '', () => clock.nowMs())
    const count = (records: number) => metrics.published.inc({ stream: name }, records)
    const accepted = await publish(ingest, name, bodyChunks(c), reader, closing, count)
    return c.json({ accepted }, 200)
  })

  app.openapi(follow, async (c) => {
    const { name } = c.req.valid('param')
    const { hold, count, instead } = c.req.valid('query')
    await mustExist(parts, name)
    const format = formatFor(c.req.header('accept'))
    const lines = hold ? holdingLines(c, parts, name, instead) : plainLines(c, parts, name)
    return streamResponse(c, format.contentType, encoded(format, lines, count))
  })
}

/** Another gateway may have created the stream a moment ago, so the store is asked. */
async function mustExist({ catalog }: GatewayParts, stream: string): Promise<void> {
  if (catalog.current.streams.has(stream)) return
  await catalog.refresh()
  if (!catalog.current.streams.has(stream)) throw unknownStream(stream, catalog.current.streams)
}

type Lines = AsyncGenerator<Iterable<RecordOutput | FollowEvent>, void>

async function* plainLines(c: HttpContext, { plain, places, closing }: GatewayParts, stream: string): Lines {
  const leave = places.take('plain')
  try {
    yield* plain.follow(stream, untilClosed(c, closing))
  } finally {
    leave()
  }
}

/** Yields the first batch once every producer knows this reader. */
async function* holdingLines(
  c: HttpContext,
  parts: GatewayParts,
  stream: string,
  instead: string | undefined,
): Lines {
  const { wire, namespace, gatewayId, store, catalog, heartbeats, ingest, clock, closing, places, log } =
    parts
  const leave = places.take('hold')
  try {
    const signal = untilClosed(c, closing)
    const onError = (error: unknown): void => log.warn({ err: error, stream }, 'cannot keep a holding reader')
    const follower = await HoldingFollower.open({
      ...{ wire, namespace, gatewayId, stream, store, catalog, heartbeats, ingest, clock, signal },
      ...{ closing, instead, onError },
    })
    signal.addEventListener('abort', () => void follower.close(), { once: true })
    try {
      yield* follower.lines()
    } finally {
      await follower.close()
    }
  } finally {
    leave()
  }
}

/** Encodes in pieces, so that a stalled reader holds one piece in memory, not a whole frame. */
async function* encoded(
  format: FollowFormat,
  batches: Lines,
  count: number | undefined,
): AsyncGenerator<readonly string[], void> {
  let records = 0
  for await (const batch of batches) {
    let lines: string[] = []
    let chars = 0
    for (const line of batch) {
      if (chars >= pieceChars) {
        yield lines
        lines = []
        chars = 0
      }
      const text = format.encode(line)
      lines.push(text)
      chars += text.length
      if (!('event' in line)) records += 1
      if (records === count) break
    }
    yield lines
    if (records === count) return
  }
}
