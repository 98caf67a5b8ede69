/**
 * Platform for the gateway's tests: a real nats-server, a real store and a gateway, on free ports.
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAssets, openBundles } from '../../infra/bundles/index.ts'
import {
  Consumer,
  connectBus,
  connectWire,
  type NatsConnection,
  type NatsWire,
  type Wire,
} from '../../infra/bus/index.ts'
import { systemClock } from '../../infra/clock.ts'
import { makeLog } from '../../infra/log.ts'
import { type NatsServer, startNatsServer } from '../../infra/nats/index.ts'
import { openStore, type Store } from '../../infra/store/index.ts'
import { type Gateway, type GatewayOptions, startGateway } from '../gateway.ts'

export const token = 'a-token-for-tests-only'
export const namespace = 'test'

export interface Platform {
  readonly nats: NatsServer
  readonly nc: NatsConnection
  readonly wire: NatsWire
  readonly store: Store
  readonly gateway: Gateway
  /** Lines that the gateway has logged. */
  readonly logged: string[]
  /** A request with the token. */
  call(method: string, path: string, init?: Omit<RequestInit, 'method'>): Promise<Response>
  another(more?: Partial<GatewayOptions>): Promise<Gateway>
  close(): Promise<void>
}

/** @param under Where its folder is made. */
export async function startPlatform(more: Partial<GatewayOptions> = {}, under = tmpdir()): Promise<Platform> {
  const dir = await mkdtemp(join(under, 'concord-gateway-'))
  const nats = await startNatsServer({ dir: join(dir, 'nats'), port: 0 })
  const nc = await connectBus({ url: nats.url, name: 'test' })
  const checkpointConnection = await connectBus({ url: nats.url, name: 'test stores' }) // of its own, as in main.ts
  const wire = await connectWire({ url: nats.url, name: 'test records' })
  const store = await openStore(`sqlite:${join(dir, 'store.sqlite')}`)
  const logged: string[] = []
  const log = makeLog({ name: 'gateway', level: 'debug', to: { write: (line) => logged.push(line) } })
  const bundles = await openBundles(checkpointConnection)
  const assets = await openAssets(checkpointConnection)
  const options = {
    host: '127.0.0.1',
    port: 0,
    token,
    namespace,
    nc,
    checkpointConnection,
    deadLetters: { nc: checkpointConnection },
    wire,
    store,
    bundles,
    assets,
    clock: systemClock,
    log,
    ...more,
  }
  const gateway = await startGateway(options)
  const others: Gateway[] = []
  return {
    ...{ nats, nc, wire, store, gateway, logged },
    call: (method, path, init = {}) => call(gateway.url, method, path, init),
    async another(evenMore = {}) {
      const other = await startGateway({ ...options, ...evenMore })
      others.push(other)
      return other
    },
    async close() {
      for (const each of [gateway, ...others]) await each.close()
      wire.close()
      await nc.close()
      await checkpointConnection.close()
      await store.close()
      await nats.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

export async function call(
  url: string,
  method: string,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const headers = new Headers(init.headers)
  headers.set('authorization', `Bearer ${token}`)
  return await fetch(url + path, { ...init, method, headers })
}

/** Waits for a condition, looking every 5 ms. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadlineMs = performance.now() + 60_000
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadlineMs) throw new Error(`waited 60 s in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface Owner {
  /** Records processed so far. */
  readonly processed: () => number
  close(): void
}

/** Owns all partitions of a stream, like a function's only instance, and processes what arrives. */
export function startOwner(wire: Wire, name: string, stream: string, partitions = 16): Owner {
  let processed = 0
  const drain = (): void => {
    for (let frames = consumer.take(65536); frames.length > 0; frames = consumer.take(65536)) {
      for (const frame of frames) {
        processed += frame.header.count - frame.skip
        consumer.done(frame, frame.header.count - frame.skip)
      }
      consumer.acknowledge()
    }
  }
  const consumer = new Consumer({
    ...{ wire, namespace, name, epoch: 1, clock: systemClock },
    onFrames: () => setImmediate(drain),
  })
  consumer.own(stream, [...new Array(partitions).keys()])
  return { processed: () => processed, close: () => consumer.close() }
}

/** The lines of a streaming answer, as they arrive. */
export async function* linesOf(response: Response): AsyncGenerator<Record<string, unknown>> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body!) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line)
  }
}

/** A function's source. */
export function sourceOf(
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  more = '',
): string {
  const istreams = inputs.map((stream) => `'${stream}': groupBy`).join(', ')
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { ${istreams} }, ostreams: ${JSON.stringify(outputs)}, ${more} },
  processRecord(ctx, record) { ctx.nowMs() },
})`
}
