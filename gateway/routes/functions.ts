/** Functions and instances: list, inspect, delete, kill, logs. */
import { createRoute, z } from '@hono/zod-openapi'
import { paths, type ScalingDocument } from '../../infra/store/index.ts'
import {
  deployAnswerSchema,
  flagQuery,
  functionDetailSchema,
  functionSummarySchema,
  logLineSchema,
  scaleAnswerSchema,
  scaleSchema,
  scalingSchema,
  topologySchema,
  whySchema,
} from '../../sdk/api/index.ts'
import { moveAnswerSchema, moveSchema } from '../../sdk/api/moved.ts'
import { resourcesPatchSchema } from '../../sdk/api/resources.ts'
import { logTailMax } from '../../sdk/manifest/limits.ts'
import { deleteFunction, killInstance, refuseInFlight } from '../by-hand/functions.ts'
import { moveAsWished } from '../by-hand/moves.ts'
import { scaleAsWished } from '../by-hand/scale.ts'
import { functionIn } from '../catalog/catalog.ts'
import { heldBackBy } from '../catalog/held-back.ts'
import { lagOf, ledgerOf } from '../catalog/ledger.ts'
import { shadowNow } from '../catalog/shadow-view.ts'
import { functionDetail, functionSummary, scalingView, tasksAtWork, topology } from '../catalog/views.ts'
import { functionWhy } from '../catalog/why.ts'
import { type LogQuery, readLogs } from '../follow/logs.ts'
import { readDocument } from '../http/document.ts'
import {
  type App,
  bodySchema,
  instanceParam,
  jsonAnswer,
  nameParam,
  problemAnswer,
  security,
} from '../http/routes.ts'
import { streamResponse, untilClosed } from '../http/stream.ts'
import { cutOffFromNats, type GatewayParts } from '../parts.ts'
import { wayBack } from '../versions/versions.ts'

const list = createRoute({
  method: 'get',
  path: '/v1/functions',
  summary: 'List the functions',
  security,
  responses: {
    200: jsonAnswer(z.object({ functions: z.array(functionSummarySchema) }), 'all of them'),
    default: problemAnswer,
  },
})

const inspect = createRoute({
  method: 'get',
  path: '/v1/functions/{name}',
  summary: 'Inspect a function: manifest, instances, and the ledger of its inputs',
  security,
  request: { params: nameParam },
  responses: { 200: jsonAnswer(functionDetailSchema, 'the function'), default: problemAnswer },
})

const why = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/why',
  summary: 'Explain where the instances of a function run, or why they do not',
  security,
  request: { params: nameParam },
  responses: { 200: jsonAnswer(whySchema, 'each instance, with its reasons'), default: problemAnswer },
})

const remove = createRoute({
  method: 'delete',
  path: '/v1/functions/{name}',
  summary: 'Remove a function: drain its instances, then delete it and its state',
  description: 'Answers 409 while records are in flight to it, unless you give `drop`; then they are lost.',
  security,
  request: { params: nameParam, query: z.object({ drop: flagQuery }) },
  responses: { 204: { description: 'it will be' }, default: problemAnswer },
})

const scale = createRoute({
  method: 'put',
  path: '/v1/functions/{name}/instances',
  summary:
    'Set the number of instances of a function, or return it to the policy; partitions are handed over',
  security,
  request: {
    params: nameParam,
    body: { content: { 'application/json': { schema: bodySchema(scaleSchema) } } },
  },
  responses: { 200: jsonAnswer(scaleAnswerSchema, 'what is wanted now'), default: problemAnswer },
})

const resources = createRoute({
  method: 'patch',
  path: '/v1/functions/{name}/resources',
  summary: 'Resize the instances of a function: a new version of the same bundle',
  description:
    'New instances start beside the old ones and take over their partitions, state and timers; then the old ones end. Memory in which the heap or the state of an instance has no room is refused.',
  security,
  request: {
    params: nameParam,
    body: { content: { 'application/json': { schema: bodySchema(resourcesPatchSchema) } } },
  },
  responses: {
    200: jsonAnswer(deployAnswerSchema, 'the version that is wanted now'),
    default: problemAnswer,
  },
})

const move = createRoute({
  method: 'patch',
  path: '/v1/functions/{name}/partitions',
  summary:
    'Move partitions of a function to one of its instances, or back to the instance given by their number',
  description:
    'They move with state and timers, and stay there over deploys and other numbers of instances, as long as that instance is wanted.',
  security,
  request: {
    params: nameParam,
    body: { content: { 'application/json': { schema: bodySchema(moveSchema) } } },
  },
  responses: { 200: jsonAnswer(moveAnswerSchema, 'all that were moved'), default: problemAnswer },
})

const scaling = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/scaling',
  summary: 'Explain the number of instances of a function: policy, load, latest changes',
  security,
  request: { params: nameParam },
  responses: { 200: jsonAnswer(scalingSchema, 'policy, changes, load'), default: problemAnswer },
})

const kill = createRoute({
  method: 'delete',
  path: '/v1/instances/{id}',
  summary: 'Drain and end one instance; the number of instances falls by one unless `restart` replaces it',
  security,
  request: {
    params: instanceParam,
    query: z.object({ restart: flagQuery }),
  },
  responses: { 204: { description: 'it will be' }, default: problemAnswer },
})

const logs = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/logs',
  summary: 'Read the log of a function, oldest line first',
  security,
  request: {
    params: nameParam,
    query: z.object({ follow: flagQuery, tail: z.coerce.number().int().min(0).max(logTailMax).default(100) }),
  },
  responses: {
    200: {
      description: 'a LogLine a line',
      content: { 'application/x-ndjson': { schema: bodySchema(logLineSchema) } },
    },
    default: problemAnswer,
  },
})

const graph = createRoute({
  method: 'get',
  path: '/v1/topology',
  summary: 'The functions and the streams between them',
  security,
  responses: { 200: jsonAnswer(topologySchema, 'the topology'), default: problemAnswer },
})

export function functionRoutes(app: App, parts: GatewayParts): void {
  const { catalog, heartbeats, accountsOf, store, namespace, gatewayId, closing, clock } = parts
  /** What this gateway cannot know now (docs/design/0038-who-can-know.md). */
  const cutOff = () => {
    return { ...parts.schedulerWatch.remark, ...cutOffFromNats(parts) }
  }
  /** A gateway that has just started listens to heartbeats before it reports on instances. */
  const heard = () => heartbeats.firstBeats(tasksAtWork(catalog.current.functions.values()))
  app.openapi(list, async (c) => {
    await heard()
    const { outputs } = await accountsOf()
    const functions = [...catalog.current.functions.values()].map((live) => ({
      ...functionSummary(live, heartbeats),
      ...lagOf(live, outputs),
    }))
    return c.json({ functions }, 200)
  })
  app.openapi(inspect, async (c) => {
    await heard()
    const { name } = c.req.valid('param')
    const live = functionIn(catalog.current, name)
    const accounts = await accountsOf(live)
    const { sent, outputs } = accounts
    const deadLetters = await parts.deadLetters.counts(name)
    const shadow = shadowNow(live, heartbeats, clock.nowMs())
    const settling = sent.open.filter((id) => id !== gatewayId && heartbeats.isSilent(id))
    const heldBack = heldBackBy(live, { view: catalog.current, heartbeats, outputs })
    const detail = {
      ...functionDetail(live, heartbeats, accounts, deadLetters),
      ...(settling.length > 0 && { settling }),
      ...(heldBack.length > 0 && { heldBackBy: heldBack }),
      ...cutOff(),
    }
    return c.json(shadow === undefined ? detail : { ...detail, shadow }, 200)
  })
  app.openapi(why, async (c) => {
    await heard()
    const { name } = c.req.valid('param')
    const live = functionIn(catalog.current, name)
    const { outputs } = await accountsOf(live)
    const heldBack = heldBackBy(live, { view: catalog.current, heartbeats, outputs })
    const rollbackTo = await wayBack(store, namespace, live).catch(() => undefined) // the store may be away
    const answer = functionWhy(live, heartbeats, heldBack)
    return c.json({ ...answer, ...cutOff(), ...(rollbackTo !== undefined && { rollbackTo }) }, 200)
  })
  app.openapi(remove, async (c) => {
    const { name } = c.req.valid('param')
    await catalog.refresh()
    const live = functionIn(catalog.current, name)
    if (!live.document.deleted && !c.req.valid('query').drop) {
      await heard()
      const inputs = Object.keys(live.version.manifest.istreams)
      const inFlightNow = async () => {
        const left = await parts.leftOnDisk(live)
        return { ledger: ledgerOf(name, inputs, (await accountsOf(live)).outputs), left }
      }
      await refuseInFlight(name, inFlightNow, clock)
    }
    await deleteFunction(store, namespace, name)
    await catalog.refresh()
    return c.body(null, 204)
  })
  app.openapi(scale, async (c) => {
    const wish = await readDocument(c, 'how many instances are wanted', scaleSchema)
    const { name } = c.req.valid('param')
    const answer = await scaleAsWished(store, namespace, catalog.current, name, wish, clock.nowMs())
    await catalog.refresh()
    return c.json(answer, 200)
  })
  app.openapi(resources, async (c) => {
    const { author, message, drain, ...wish } = await readDocument(c, 'the resources', resourcesPatchSchema)
    const { name } = c.req.valid('param')
    const answer = await parts.deployer.changeResources(name, wish, { author, message, drain })
    parts.metrics.deploys.inc({ outcome: answer.changed ? 'changed' : 'unchanged' })
    parts.log.info({ function: name, version: answer.version, changed: answer.changed }, 'resources changed')
    return c.json(answer, 200)
  })
  app.openapi(move, async (c) => {
    const wish = await readDocument(c, 'which partitions are to be where', moveSchema)
    await catalog.refresh() // the caller may name an instance that was requested just now
    const answer = await moveAsWished(store, namespace, catalog.current, c.req.valid('param').name, wish)
    await catalog.refresh()
    return c.json(answer, 200)
  })
  app.openapi(scaling, async (c) => {
    const { name } = c.req.valid('param')
    const live = functionIn(catalog.current, name)
    const kept = await store.get<ScalingDocument>(paths.scaling(namespace, name))
    return c.json(scalingView(live, heartbeats, kept?.value), 200)
  })
  app.openapi(kill, async (c) => {
    const { restart } = c.req.valid('query')
    await killInstance(store, namespace, catalog.current, c.req.valid('param').id, restart)
    return c.body(null, 204)
  })
  app.openapi(logs, async (c) => {
    const functionName = c.req.valid('param').name
    functionIn(catalog.current, functionName) // refuses an unknown one
    const query = { namespace, functionName, signal: untilClosed(c, closing), ...c.req.valid('query') }
    // The framework's types treat x-ndjson as JSON.
    return (await streamResponse(c, 'application/x-ndjson', logLines(parts, query))) as never
  })
  app.openapi(graph, async (c) => {
    await heard()
    return c.json(topology(catalog.current, heartbeats), 200)
  })
}

async function* logLines(
  { nc, places }: GatewayParts,
  query: LogQuery,
): AsyncGenerator<readonly string[], void> {
  const leave = places.take('logs')
  try {
    yield* readLogs(nc, query)
  } finally {
    leave()
  }
}
