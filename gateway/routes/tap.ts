/** The tap of an instance: its recent inputs. */
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { createRoute, z } from '@hono/zod-openapi'
import { subjects } from '../../infra/bus/index.ts'
import { refuse } from '../errors.ts'
import { type App, instanceParam, jsonAnswer, problemAnswer, security } from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'

const answerMs = 5_000
/** The first byte of a gzipped tap; any other answer says why there is none. */
const gzipMark = 0x1f
const unpackedBytesMax = 64 * 1024 * 1024

const tap = createRoute({
  method: 'get',
  path: '/v1/instances/{id}/tap',
  summary: 'Read the tap of an instance: its recent records, times, random seeds and state, for a replay',
  security,
  request: { params: instanceParam },
  responses: {
    200: jsonAnswer(z.looseObject({ schema: z.literal(1) }), 'a tap (docs/design/0019-tap.md)'),
    default: problemAnswer,
  },
})

export function tapRoutes(app: App, { catalog, nc, namespace }: GatewayParts): void {
  app.openapi(tap, async (c) => {
    const { id } = c.req.valid('param')
    const seats = [...catalog.current.functions.values()].flatMap(({ status }) => status?.instances ?? [])
    const taskId = seats.find((instance) => instance.id === id)?.taskId
    if (taskId === undefined) {
      const name = id.replace(/-\d+$/, '')
      const status = catalog.current.functions.get(name)?.status
      const ids = (status?.instances ?? []).filter((one) => one.taskId !== undefined).map((one) => one.id)
      const others =
        ids.length === 0
          ? `'${name}' has none`
          : `of '${name}' ${ids.join(', ')} ${ids.length === 1 ? 'is' : 'are'}`
      const why = `there is none of that id at work: ${others}. \`concord fn inspect ${name}\` shows them.`
      throw refuse('ERR_INSTANCE_UNKNOWN', `Cannot read the tap of instance '${id}': ${why}`)
    }
    const packed = await nc
      .request(subjects.tapSubject(namespace, taskId), id, { timeout: answerMs })
      .then(({ data }) => Buffer.from(data))
      .catch(() => {
        const why = `its runner does not answer. Try again in a moment; \`concord fn inspect ${id.replace(/-\d+$/, '')}\` shows whether it runs.`
        throw refuse('ERR_TAP', `Cannot read the tap of instance '${id}': ${why}`)
      })
    if (packed[0] !== gzipMark) {
      const why = packed.length === 0 ? 'its runner, of an earlier build, has none' : packed.toString()
      throw refuse('ERR_TAP', `Cannot read the tap of instance '${id}': ${why}`)
    }
    const text = await promisify(gunzip)(packed, { maxOutputLength: unpackedBytesMax })
    return c.body(text.toString('utf8'), 200, { 'content-type': 'application/json' }) as never
  })
}
