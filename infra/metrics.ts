/**
 * Metrics: what a process counts, for Prometheus, on a port of its own on loopback.
 *
 * Gateways and schedulers also show the metrics of Node and of the process itself, under `concord_`.
 *
 *   MT1. Everything is labelled with the kind of process and its namespace: functions of two namespaces may have one name.
 * @module
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { CodedError } from '../sdk/errors.ts'

export { Counter, Gauge, Histogram, type Metric, Registry } from 'prom-client'

export interface MetricsServer {
  readonly url: string
  close(): Promise<void>
}

/**
 * How often the event loop's lag is measured, and the smallest lag that shows; prom-client's 10 ms took 0.6 % of a
 * core.
 */
const lagPeriodMs = 100

/** What is measured: the labels of all that is in a registry (MT1). */
export interface Measured {
  readonly process: 'gateway' | 'scheduler' | 'runner'
  readonly namespace: string
}

/** A registry with nothing in it. */
export function emptyRegistry(measured: Measured): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ ...measured })
  return registry
}

/** A registry with the metrics of Node and of this process. */
export function makeRegistry(measured: Measured): Registry {
  const registry = emptyRegistry(measured)
  collectDefaultMetrics({ register: registry, prefix: 'concord_', eventLoopMonitoringPrecision: lagPeriodMs })
  return registry
}

/**
 * Serves `GET /metrics` on 127.0.0.1.
 * @param options.port 0: any free port.
 * @throws {CodedError} ERR_PORT_TAKEN
 */
export async function startMetricsServer(options: {
  readonly port: number
  readonly registry: Registry
}): Promise<MetricsServer> {
  const { port, registry } = options
  const server = createServer(async (request, response) => {
    if (request.url !== '/metrics' || request.method !== 'GET') return void response.writeHead(404).end()
    try {
      const text = await registry.metrics()
      response.writeHead(200, { 'content-type': registry.contentType }).end(text)
    } catch (error) {
      response.writeHead(500).end(String(error)) // a gauge's own collect threw
    }
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EADDRINUSE') throw cause
    throw new CodedError(
      'ERR_PORT_TAKEN',
      `Cannot serve metrics: another program listens on port ${port}; choose another`,
      { cause },
    )
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
