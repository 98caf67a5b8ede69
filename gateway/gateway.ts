/**
 * Gateway: wires the parts of the process together, and ends them in order.
 *
 * It has no state of its own: what is wanted is in the store, and any number of gateways may run. When it ends, it
 * refuses new requests, tells open publishes how far they came, and waits a while until what it accepted is
 * acknowledged.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { type Assets, ensureBundleStream } from '../infra/bundles/index.ts'
import { type NatsConnection, subjects, type Wire } from '../infra/bus/index.ts'
import { removeCheckpoints } from '../infra/checkpoints/index.ts'
import type { Clock } from '../infra/clock.ts'
import { DifferenceStore } from '../infra/differences/index.ts'
import type { Log } from '../infra/log.ts'
import { ensureSpillStream, Orphans, SpillStore } from '../infra/spill/index.ts'
import type { Store } from '../infra/store/index.ts'
import type { Replicas } from '../infra/streams.ts'
import { makeApp } from './app.ts'
import { Catalog } from './catalog/catalog.ts'
import { Heartbeats } from './catalog/heartbeats.ts'
import { sentBefore } from './catalog/sent-before.ts'
import { DeadLetters } from './dead-letters/dead-letters.ts'
import { LetterStore, type LetterStoreOptions } from './dead-letters/letter-store.ts'
import { TimerSetter } from './dead-letters/timer-setter.ts'
import { Deployer } from './deploy/deploy.ts'
import { Gatekeeper } from './deploy/gatekeeper.ts'
import type { BundleSink } from './deploy/version-writer.ts'
import { refuse } from './errors.ts'
import { ensureLogs, forgetLogs } from './follow/logs.ts'
import { Places, type ReaderKind } from './follow/places.ts'
import { PlainFollowers } from './follow/plain.ts'
import { answerUnreadable } from './http/unreadable.ts'
import { Adopter } from './ingest/adopter.ts'
import { GoneGateways } from './ingest/gone-gateways.ts'
import { Ingest } from './ingest/ingest.ts'
import { Successors, whileLeading } from './ingest/leader.ts'
import { Pulse } from './ingest/pulse.ts'
import { RawIngest } from './ingest/raw-ingest.ts'
import { RawRepublish } from './ingest/raw-republish.ts'
import { SentAccount } from './ingest/sent-account.ts'
import { CheckpointSweeper } from './kept/checkpoints.ts'
import { Ownership } from './kept/ownership.ts'
import { untilMade } from './kept/until-made.ts'
import { makeMetrics } from './metrics.ts'
import type { GatewayParts } from './parts.ts'
import { Prober } from './probe/index.ts'
import type { RunnerShelf } from './routes/runner.ts'
import { type BundleShelf, startCollector } from './versions/collector.ts'
import type { BundleReader } from './versions/sources.ts'

const settleMs = 10_000
const deadLetterDefaults = { bytesMax: 64 * 1024 * 1024, ageMaxMs: 7 * 24 * 3600_000 }
const answerMs = 3000
/** How long a start waits to learn whose state JetStream holds. */
const claimMs = 2000

export interface GatewayOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly token: string
  readonly namespace: string
  readonly nc: NatsConnection
  /** The connection of the channels. */
  readonly wire: Wire
  readonly store: Store
  readonly bundles: BundleSink & BundleShelf & BundleReader
  readonly assets: Assets
  /** A connection without records; default: `nc`. */
  readonly checkpointConnection?: NatsConnection
  /** Opens the connection for spilling to disk, on first use. Absent: waiting records stay in memory. */
  readonly connectSpill?: () => Promise<NatsConnection>
  readonly clock: Clock
  readonly log: Log
  /** The runner's archive, if this gateway serves it. */
  readonly runner?: RunnerShelf | undefined
  /** The id of a lost store that this one replaces. */
  readonly replacesStore?: string | undefined
  /** The number of copies of each JetStream stream. */
  readonly replicas?: Replicas
  /** Bytes that the ingest holds for a stream before it refuses more. */
  readonly bufferBytesMax?: number
  /** Connection and limits of the dead letters. */
  readonly deadLetters?: Partial<Omit<LetterStoreOptions, 'namespace'>>
  /** The limit of readers of each kind. */
  readonly placesMax?: Partial<Record<ReaderKind, number>>
}

export interface Gateway {
  readonly url: string
  readonly id: string
  /**
   * Resolves, with the reason, when the gateway must be restarted because its sent records are no longer accounted
   * for.
   */
  readonly forgotten: Promise<string>
  /**
   * Ends the gateway in order. The caller's connections and store stay open.
   * @returns How many accepted records were given up because nobody has processed them.
   */
  close(): Promise<number>
}

/** @throws {CodedError} ERR_GATEWAY_PORT_TAKEN, ERR_OTHER_STORE */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { namespace, nc, wire, store, bundles, assets, clock, log, bufferBytesMax } = options
  const { replicas = 'auto', checkpointConnection = nc } = options
  const ownership = new Ownership({
    ...{ nc: checkpointConnection, store, namespace, replicas, replaces: options.replacesStore },
  })
  await ownership.claimSoon(claimMs)
  const gatewayId = `gateway-${randomBytes(4).toString('hex')}`
  const metrics = makeMetrics()
  const closing = new AbortController()
  const heartbeats = new Heartbeats(clock)
  const spill =
    options.connectSpill &&
    new SpillStore({
      ...{ namespace, connect: options.connectSpill },
      onTrouble: (message) => log.warn(message),
    })
  const ingest = new Ingest({
    ...{ wire, namespace, gatewayId, clock, spill, onWant: () => pulse.soon() },
    ...(bufferBytesMax === undefined ? {} : { bufferBytesMax }),
  })
  const rawIngest = new RawIngest({ nc, namespace, ingest, clock, metrics, log })
  const republish = new RawRepublish({ nc, wire, namespace, metrics })
  let ingestEpoch: number | undefined
  const pulse = new Pulse({
    wire,
    namespace,
    gatewayId,
    clock,
    outputs: () => ingest.ledger(),
    rawDropped: () => rawIngest.dropped,
    ingestEpoch: () => ingestEpoch,
  })
  const catalogError = (error: unknown): void => log.error({ err: error }, 'cannot read the store')
  const successors = new Successors()
  let sweeper: CheckpointSweeper | undefined
  const sweep = (): void => {
    if (ingestEpoch !== undefined && ownership.isOurs) sweeper?.adopt()
  }
  const catalog = new Catalog(
    store,
    namespace,
    (view) => {
      if (ingest.adopt(view)) pulse.beat()
      if (ingestEpoch !== undefined) republish.adopt(view)
      sweep()
    },
    catalogError,
  )
  await catalog.refresh()
  const stopHeartbeats = wire.subscribe(subjects.heartbeatSubject(namespace, '*'), (bytes) => {
    const beat = heartbeats.take(bytes)
    if (beat?.ingestEpoch !== undefined) successors.hear(beat.ingestEpoch)
    if (beat !== undefined && ingestEpoch !== undefined) goneGateways.hear(beat)
  })
  const prober = new Prober(clock)
  const differences = new DifferenceStore(checkpointConnection, namespace)
  const forgetState = async (name: string): Promise<void> => {
    if (!ownership.isOurs) await ownership.claim()
    await Promise.all([
      removeCheckpoints(checkpointConnection, namespace, name),
      differences
        .forget(name)
        .catch((error: unknown) =>
          log.warn({ err: error }, `cannot forget what shadows of '${name}' have found`),
        ),
    ])
  }
  const forgetLines = (name: string): Promise<void> =>
    forgetLogs(nc, namespace, name).catch((error: unknown) =>
      log.warn({ err: error }, `the log of '${name}' may show lines of an earlier function of that name`),
    )
  const gatekeeper = new Gatekeeper({ nc, namespace, clock })
  const deployer = new Deployer({
    ...{ store, bundles, assets, prober, catalog, heartbeats, gatekeeper, namespace, clock },
    ...{ forgetState, forgetLines },
  })
  sweeper = new CheckpointSweeper({
    ...{ nc: checkpointConnection, namespace, log },
    functions: () => new Set(catalog.current.functions.keys()),
  })
  const view = () => catalog.current
  const forgotten = Promise.withResolvers<string>()
  const sentAccount = await SentAccount.open({
    ...{ store, namespace, gatewayId, clock, log, view, outputs: () => ingest.ledger() },
    onForgotten: () => forgotten.resolve('it was taken for gone, and what it has sent is added up already'),
  })
  const goneGateways = new GoneGateways({
    ...{ store, namespace, gatewayId, clock, log, view },
    silentMs: (id) => heartbeats.silentMs(id),
    ask(gone) {
      if (wire.connected) wire.publish(subjects.goneSubject(namespace), gone)
      return wire.connected
    },
  })
  const adopter = new Adopter({
    orphans: new Orphans({ nc: checkpointConnection, namespace, clock }),
    ...{ ingest, clock, log, isOurs: () => ownership.isOurs },
    outputs: () => [...heartbeats.spoken(5000), ...ingest.ledger()],
  })
  const leading = whileLeading(store, `ingest-${namespace}`, closing.signal, log, successors, (epoch) => {
    ingestEpoch = epoch
    pulse.beat()
    const stopRawIngest = rawIngest.start()
    const stopAdopter = adopter.start()
    const stopGoneGateways = goneGateways.start()
    const stopCollector = startCollector({
      store,
      bundles,
      namespace,
      clock,
      log,
      isAlone: () => ownership.isAlone(),
    })
    republish.adopt(catalog.current)
    sweep()
    return () => {
      ingestEpoch = undefined
      stopRawIngest()
      stopAdopter()
      stopGoneGateways()
      stopCollector()
      republish.stop()
    }
  })
  const letterStore = new LetterStore({
    ...{ nc, namespace, replicas, ...deadLetterDefaults },
    ...options.deadLetters,
  })
  const making = [
    { what: 'the store of bundles', make: () => ensureBundleStream(checkpointConnection, replicas) },
    { what: 'the stream of logs', make: () => ensureLogs(nc, replicas) },
    { what: 'the stream of checkpoints', make: () => ownership.claim().finally(sweep) },
    { what: 'the stream of what is spilled', make: () => ensureSpillStream(checkpointConnection, replicas) },
    { what: 'the streams of dead letters', make: () => letterStore.ensure() },
    { what: 'the stream of differences', make: () => differences.ensure(replicas) },
  ].map(({ what, make }) =>
    untilMade(make, closing.signal, (error) => log.warn({ err: error }, `cannot make ${what}`)),
  )
  const deadLetters = new DeadLetters({
    ...{ store: letterStore, ingest, clock, view: () => catalog.current },
    timers: new TimerSetter({ nc, namespace, view: () => catalog.current }),
  })

  const parts: GatewayParts = {
    ...{
      namespace,
      gatewayId,
      nc,
      wire,
      store,
      bundles,
      assets,
      catalog,
      heartbeats,
      ingest,
      deployer,
      deadLetters,
    },
    differences,
    sentTo: sentBefore(store, namespace),
    ...{ metrics, clock, log },
    plain: new PlainFollowers({ wire, namespace }),
    places: new Places(metrics.followers, options.placesMax),
    closing: closing.signal,
  }
  const server = createAdaptorServer({ fetch: makeApp(parts, options.token, options.runner).fetch }) as Server
  server.on('clientError', answerUnreadable)
  server.requestTimeout = 0 // a publish may last as long as its client wants

  async function close(): Promise<number> {
    closing.abort(
      refuse('ERR_CLOSING', 'The gateway is stopping. Try again in a moment, behind the records accepted.'),
    )
    await endServer(server)
    await Promise.all([leading, ...making])
    const stop = new AbortController()
    const cancel = clock.after(settleMs, () => stop.abort())
    const givenUp = await ingest.close(stop.signal)
    cancel()
    await sentAccount.close(AbortSignal.timeout(answerMs))
    await spill?.close()
    pulse.stop()
    stopHeartbeats()
    catalog.close()
    await prober.close()
    return givenUp
  }

  try {
    await listen(server, options.host, options.port)
  } catch (error) {
    await close()
    throw error
  }
  const { address, port } = server.address() as AddressInfo
  const host = address.includes(':') ? `[${address}]` : address
  return { url: `http://${host}:${port}`, id: gatewayId, forgotten: forgotten.promise, close }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host)
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EADDRINUSE') throw cause
    throw refuse(
      'ERR_GATEWAY_PORT_TAKEN',
      `Cannot listen on ${host}:${port}: another program does. Stop it, or choose another port (CONCORD_GATEWAY_PORT).`,
    )
  })
}

/** Stops accepting connections, and gives open requests some time to finish. */
async function endServer(server: Server): Promise<void> {
  if (!server.listening) return
  const timer = setTimeout(() => server.closeAllConnections(), answerMs)
  server.close()
  server.closeIdleConnections()
  await once(server, 'close')
  clearTimeout(timer)
}
