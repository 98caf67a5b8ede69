/** The state of a function: what a key has, how much there is, and what is stored. */
import { createRoute } from '@hono/zod-openapi'
import { functionStateSchema, type StateQuery, stateQuerySchema } from '../../sdk/api/state.ts'
import { partitionOf } from '../../sdk/wire/hash.ts'
import { functionIn } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'
import { type App, jsonAnswer, nameParam, problemAnswer, security } from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'
import { listState } from '../state/list.ts'
import { readState } from '../state/read.ts'
import { shapeOf } from '../state/shape.ts'

const state = createRoute({
  method: 'get',
  path: '/v1/functions/{name}/state',
  summary:
    'Read the state of a function: what a key has in each partition, how much there is, or what is stored',
  description:
    'Each instance answers between two batches. Long values and lists are cut. Without a key the answer is how much each partition has; with a `limit` entries are listed, in no order that means anything; a page takes up to about 2 seconds, so it may have fewer than `limit` while there are more: then it has a `cursor`. `unread` names the partitions that nobody has now, as while they move, with the reason.',
  security,
  request: { params: nameParam, query: stateQuerySchema },
  responses: { 200: jsonAnswer(functionStateSchema, 'what was read'), default: problemAnswer },
})

export function stateRoutes(app: App, parts: GatewayParts): void {
  app.openapi(state, async (c) => {
    const live = functionIn(parts.catalog.current, c.req.valid('param').name)
    const query = c.req.valid('query')
    const { name } = live
    const shape = shapeOf(parts.catalog.current, live)
    const key = keyOf(name, query)
    if (key === undefined && query.limit > 0) return c.json(await listState(parts, name, shape, query), 200)
    const keyPartition = key && shape.keyed > 0 ? partitionOf(key, shape.keyed) : undefined
    const { partition } = query
    const told = await readState(parts, name, shape, { key, keyPartition, partition })
    return c.json({ ...told, ...(keyPartition !== undefined && { keyPartition }) }, 200)
  })
}

function keyOf(name: string, { key, keyBase64, prefix, limit, cursor }: StateQuery): Buffer | undefined {
  const hasKey = key !== undefined || keyBase64 !== undefined
  if (key !== undefined && keyBase64 !== undefined)
    throw refuse(
      'ERR_REQUEST_INVALID',
      `Cannot read the state of '${name}': give its key as \`key\` or as \`keyBase64\`.`,
    )
  if ((hasKey || limit === 0) && (prefix !== undefined || cursor !== undefined))
    throw refuse(
      'ERR_REQUEST_INVALID',
      `Cannot read the state of '${name}': \`prefix\` and \`cursor\` are for a list, with a \`limit\` and without a key.`,
    )
  if (keyBase64 !== undefined) return Buffer.from(keyBase64, 'base64')
  return key === undefined ? undefined : Buffer.from(key)
}
