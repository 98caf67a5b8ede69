/** Health, readiness and metrics. Each backend is waited for at most `answerMs`. */
import { createRoute, z } from '@hono/zod-openapi'
import { paths } from '../../infra/store/index.ts'
import { showCheckpoints } from '../catalog/checkpoint-gauges.ts'
import { refuse } from '../errors.ts'
import { type App, jsonAnswer, problemAnswer, security } from '../http/routes.ts'
import type { GatewayParts } from '../parts.ts'

/** How long a backend may take. A frozen nats-server keeps its connections. */
const answerMs = 2_000

/** What a gateway needs, and how to ask it. */
const backends = {
  /** Both connections, which may be to different servers. */
  nats: ({ wire, nc }: GatewayParts) => Promise.all([wire.flush(), nc.flush()]),
  store: ({ store }: GatewayParts) => store.get(paths.schema),
}
type Backend = keyof typeof backends

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
    await answers(parts, 'nats').catch((error: Error) => {
      const text = `Not ready: NATS does not answer (${error.message}). Is nats-server up?`
      throw refuse('ERR_BACKEND', text)
    })
    await answers(parts, 'store').catch((error: Error) => {
      throw refuse('ERR_BACKEND', `Not ready: the store does not answer (${error.message}).`)
    })
    return c.json({ ok: true as const }, 200)
  })
  app.openapi(metrics, async (c) => {
    await Promise.all([parts.ledgerGauges.refresh(), showBackends(parts)])
    showCheckpoints(parts.catalog.current.functions.values(), parts.heartbeats, parts.metrics)
    return c.text(await parts.metrics.registry.metrics(), 200)
  })
}

async function showBackends(parts: GatewayParts): Promise<void> {
  const names = Object.keys(backends) as Backend[]
  const asked = await Promise.allSettled(names.map((backend) => answers(parts, backend)))
  for (const [i, backend] of names.entries())
    parts.metrics.backendUp.set({ backend }, asked[i]!.status === 'fulfilled' ? 1 : 0)
}

/** @throws {Error} The reason that it does not. */
async function answers(parts: GatewayParts, backend: Backend): Promise<void> {
  const late = Promise.withResolvers<never>()
  const text = `nothing within ${answerMs / 1000} s`
  const cancel = parts.clock.after(answerMs, () => late.reject(new Error(text)))
  await Promise.race([backends[backend](parts), late.promise]).finally(cancel)
}
