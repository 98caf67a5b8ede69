/** Health, readiness and metrics. Whoever asks for readiness is answered after `natsMs` and the store's own limit. */
import { createRoute, z } from '@hono/zod-openapi'
import { paths } from '../../infra/store/index.ts'
import { refuse } from '../errors.ts'
import { type App, jsonAnswer, problemAnswer, security } from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'

/** How long NATS may take. A frozen server keeps its connections. */
const natsMs = 2_000

const okSchema = z.object({ ok: z.literal(true) })

const healthz = createRoute({
  method: 'get',
  path: '/healthz',
  summary: 'Whether the process runs',
  responses: { 200: jsonAnswer(okSchema, 'it does') },
})

const readyz = createRoute({
  method: 'get',
  path: '/readyz',
  summary: 'Whether NATS and the store answer',
  responses: { 200: jsonAnswer(okSchema, 'they do'), default: problemAnswer },
})

const metrics = createRoute({
  method: 'get',
  path: '/metrics',
  summary: 'Metrics of this gateway, for Prometheus',
  security,
  responses: { 200: { description: 'Prometheus text', content: { 'text/plain': { schema: z.string() } } } },
})

export function healthRoutes(app: App, parts: GatewayParts): void {
  app.openapi(healthz, (c) => c.json({ ok: true as const }, 200))
  app.openapi(readyz, async (c) => {
    await natsAnswers(parts).catch((error: Error) => {
      throw refuse(
        'ERR_BACKEND',
        `Not ready: NATS does not answer (${error.message}). Is nats-server up?`,
      )
    })
    await parts.store.get(paths.schema).catch((error: Error) => {
      throw refuse('ERR_BACKEND', `Not ready: the store does not answer (${error.message}).`)
    })
    return c.json({ ok: true as const }, 200)
  })
  app.openapi(metrics, async (c) => {
    await parts.ledgerGauges.refresh()
    return c.text(await parts.metrics.registry.metrics(), 200)
  })
}

/** Both connections, which may be to different servers. */
async function natsAnswers({ wire, nc, clock }: GatewayParts): Promise<void> {
  const late = Promise.withResolvers<never>()
  const cancel = clock.after(natsMs, () => late.reject(new Error(`nothing within ${natsMs / 1000} s`)))
  await Promise.race([Promise.all([wire.flush(), nc.flush()]), late.promise]).finally(cancel)
}
