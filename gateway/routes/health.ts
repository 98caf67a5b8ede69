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
  jetstream: ({ jetStreamWatch }: GatewayParts) => jetStreamWatch.ask(),
  store: ({ store }: GatewayParts) => store.get(paths.schema),
}
type Backend = keyof typeof backends

const advice: Readonly<Record<Backend, readonly [name: string, advice: string]>> = {
  nats: ['NATS', 'Is nats-server up?'],
  jetstream: ['JetStream', 'Is there room on the disk of nats-server, and are most of several servers up?'],
  store: ['the store', ''],
}

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
  summary: 'Whether NATS, its JetStream and the store answer',
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
    const silent = [...(await silences(parts))].flatMap(([backend, reason]) =>
      reason === undefined ? [] : [{ backend, reason }],
    )
    const told = silent.map(({ backend, reason }) => `${advice[backend][0]} does not answer (${reason})`)
    const advised = silent.map(({ backend }) => advice[backend][1])
    if (silent.length > 0)
      throw refuse('ERR_BACKEND', [`Not ready: ${told.join('; ')}.`, ...advised].join(' ').trim())
    return c.json({ ok: true as const }, 200)
  })
  app.openapi(metrics, async (c) => {
    await Promise.all([parts.ledgerGauges.refresh(), showBackends(parts)])
    showCheckpoints(parts.catalog.current.functions.values(), parts.heartbeats, parts.metrics)
    return c.text(await parts.metrics.registry.metrics(), 200)
  })
}

async function showBackends(parts: GatewayParts): Promise<void> {
  for (const [backend, reason] of await silences(parts))
    parts.metrics.backendUp.set({ backend }, reason === undefined ? 1 : 0)
}

/** Of each backend the reason that it does not answer; undefined: it does. All are asked at once. */
async function silences(parts: GatewayParts): Promise<Map<Backend, string | undefined>> {
  const asked = (Object.keys(backends) as Backend[]).map(async (backend) => {
    const reason = await answers(parts, backend).then(
      () => undefined,
      (error: Error) => error.message,
    )
    return [backend, reason] as const
  })
  return new Map(await Promise.all(asked))
}

/** @throws {Error} The reason that it does not. */
async function answers(parts: GatewayParts, backend: Backend): Promise<void> {
  const late = Promise.withResolvers<never>()
  const text = `nothing within ${answerMs / 1000} s`
  const cancel = parts.clock.after(answerMs, () => late.reject(new Error(text)))
  await Promise.race([backends[backend](parts), late.promise]).finally(cancel)
}
