/**
 * The state of a function, read where it is: the runners that have its partitions are asked.
 *
 *   ST1. What was not read is named, with the reason; nothing is said of it. If nothing was read, that is an error.
 * Design: docs/design/0037-state-from-outside.md
 * @module
 */
import { createRoute } from '@hono/zod-openapi'
import { type NatsConnection, subjects } from '../../infra/bus/index.ts'
import { decodeStateAnswer, encodeState, type StateAnswer } from '../../infra/control/index.ts'
import type { InstanceStatus } from '../../infra/store/index.ts'
import {
  type FunctionState,
  functionStateSchema,
  type StateQuery,
  stateQuerySchema,
} from '../../sdk/api/state.ts'
import { partitionOf } from '../../sdk/wire/hash.ts'
import { type CatalogView, functionIn, type LiveFunction } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'
import { type App, jsonAnswer, nameParam, problemAnswer, security } from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'

const answerMs = 5_000

const state = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/state',
  summary: 'Read the state of a function: what a key has in each partition, or how much there is',
  description:
    'Each instance answers between two batches. Long values and lists are cut. `unread` names the partitions that nobody has now, as while they move, with the reason.',
  security,
  request: { params: nameParam, query: stateQuerySchema },
  responses: { 200: jsonAnswer(functionStateSchema, 'what was read'), default: problemAnswer },
})

export function stateRoutes(app: App, { catalog, nc, namespace }: GatewayParts): void {
  app.openapi(state, async (c) => {
    const live = functionIn(catalog.current, c.req.valid('param').name)
    const query = c.req.valid('query')
    const shape = shapeOf(catalog.current, live)
    const key = keyOf(live.name, query)
    const keyPartition = key && shape.keyed > 0 ? partitionOf(key, shape.keyed) : undefined
    const asked = askedOf(live, shape, query)
    const ask = {
      schema: 1,
      key: key?.toString('base64'),
      partition: query.partition,
      first: keyPartition,
    } as const
    const seats = (live.status?.instances ?? []).filter(
      ({ taskId, shares }) =>
        taskId !== undefined && (shape.hasOwn || shares?.some((one) => asked.has(one)) !== false),
    )
    const answers = await Promise.all(
      seats.map(async (seat) => {
        const question = encodeState({ ...ask, instance: seat.id })
        return { seat, answer: await askRunner(nc, subjects.stateSubject(namespace, seat.taskId!), question) }
      }),
    )
    const told = merged(live.name, shape, asked, answers)
    return c.json({ ...told, ...(keyPartition !== undefined && { keyPartition }) }, 200)
  })
}

interface Shape {
  /** Partitions that are shared among the instances. */
  readonly shared: number
  /** Partitions of inputs that are grouped by key; 0: there is none. */
  readonly keyed: number
  /** It has inputs whose state belongs to each instance. */
  readonly hasOwn: boolean
}

function shapeOf({ streams }: CatalogView, { version }: LiveFunction): Shape {
  const inputs = Object.entries(version.manifest.istreams).map(([stream, { grouping }]) => ({
    grouping,
    partitions: streams.get(stream)?.document.partitions ?? 0,
  }))
  const most = (these: typeof inputs) => Math.max(0, ...these.map(({ partitions }) => partitions))
  return {
    shared: most(inputs.filter(({ grouping }) => grouping !== 'broadcast')),
    keyed: most(inputs.filter(({ grouping }) => grouping === 'groupBy')),
    hasOwn: inputs.some(({ grouping }) => grouping === 'broadcast'),
  }
}

function keyOf(name: string, { key, keyBase64 }: StateQuery): Buffer | undefined {
  if (key !== undefined && keyBase64 !== undefined)
    throw refuse(
      'ERR_REQUEST_INVALID',
      `Cannot read the state of '${name}': give its key as \`key\` or as \`keyBase64\`.`,
    )
  if (keyBase64 !== undefined) return Buffer.from(keyBase64, 'base64')
  return key === undefined ? undefined : Buffer.from(key)
}

/** The shared partitions that are asked for. */
function askedOf({ name }: LiveFunction, { shared, hasOwn }: Shape, { partition }: StateQuery): Set<number> {
  if (partition === undefined) return new Set(Array.from({ length: shared }, (_, share) => share))
  if (partition < shared) return new Set([partition])
  if (hasOwn) return new Set()
  const text = `its inputs have the partitions 0 to ${shared - 1}`
  throw refuse(
    'ERR_PARTITION_UNKNOWN',
    `Cannot read partition ${partition} of the state of '${name}': ${text}.`,
  )
}

async function askRunner(nc: NatsConnection, subject: string, question: Uint8Array): Promise<StateAnswer> {
  return await nc.request(subject, question, { timeout: answerMs }).then(
    ({ data }) => decodeStateAnswer(data),
    () => ({
      ok: false,
      message: `its runner does not answer: it starts or ends, a callback takes longer than ${answerMs / 1000} s, or it is of an earlier build`,
    }),
  )
}

interface Answered {
  readonly seat: InstanceStatus
  readonly answer: StateAnswer
}

/** ST1 */
function merged(
  name: string,
  { hasOwn }: Shape,
  asked: Set<number>,
  answers: readonly Answered[],
): FunctionState {
  const instances: FunctionState['instances'] = []
  const unread: FunctionState['unread'] = []
  const rest = new Set(asked)
  for (const { seat, answer } of answers) {
    if (!answer.ok) continue
    const { version, readAtMs } = answer
    const partitions = answer.partitions.toSorted((a, b) => a.partition - b.partition)
    for (const { partition, isOwn } of partitions) if (!isOwn) rest.delete(partition)
    instances.push({ instance: seat.id, version, readAtMs, partitions })
  }
  const failed: string[] = []
  for (const { seat, answer } of answers) {
    if (answer.ok) continue
    const why = `${seat.id}: ${answer.message}`
    failed.push(why)
    const partitions = (seat.shares ?? []).filter((share) => rest.delete(share))
    if (partitions.length > 0 || hasOwn) unread.push({ partitions, why })
  }
  if (rest.size > 0) {
    const why = 'no instance has them now: they move, or their instance starts or is not wanted'
    unread.push({ partitions: [...rest], why })
  }
  if (instances.length > 0) return { function: name, instances, unread }
  const why =
    failed.length > 0
      ? failed.join('; ')
      : `no instance with what is asked for is at work; what is stored stays, and \`concord fn inspect ${name}\` shows why`
  throw refuse('ERR_STATE_UNREAD', `Cannot read the state of '${name}': ${why}.`)
}
