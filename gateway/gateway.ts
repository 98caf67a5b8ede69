/**
 * Gateway: makes the parts of the process, each behind those it needs, starts them, and ends them in the reverse order.
 *
 * It has no state of its own: what is wanted is in the store, and any number of gateways may run. What was accepted is
 * kept or answered to the end, so what lets records in starts last and ends first:
 *   GW1. New requests are refused, and open publishes are told how far they came. The server ends once they are answered.
 *   GW2. Nothing is taken any more from NATS or from disk: this gateway does not lead, and what it had taken is in hand.
 *   GW3. What was accepted gets `settleMs` to be acknowledged. Until then the catalog tells the producer of new owners
 *        and removed functions, the disk queue takes and gives, and heartbeats say what was sent.
 *   GW4. Then the final account is written, and only then the last heartbeat is sent: a ledger goes by what is heard
 *        until the store says that this gateway is over. A store that does not take it, as on a full disk, has `accountMs`:
 *        what was given up is known to nobody else.
 * A start that fails ends in the same way. A part whose end fails does not keep the others from theirs.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { type Assets, ensureBundleStream } from '../infra/bundles/index.ts'
import { type NatsConnection, subjects, type Wire } from '../infra/bus/index.ts'
import type { Clock } from '../infra/clock.ts'
import { DifferenceStore } from '../infra/differences/index.ts'
import type { Log } from '../infra/log.ts'
import { ensureSpillStream, SpillStore } from '../infra/spill/index.ts'
import type { Store } from '../infra/store/index.ts'
import type { Replicas } from '../infra/streams.ts'
import { makeApp } from './app.ts'
import { leftOnDisk } from './by-hand/functions.ts'
import { accountsBy } from './catalog/accounts.ts'
import { Catalog } from './catalog/catalog.ts'
import { Heartbeats, producersSpokeMs } from './catalog/heartbeats.ts'
import { JetStreamWatch } from './catalog/jetstream-watch.ts'
import { LedgerGauges } from './catalog/ledger-gauges.ts'
import { SchedulerWatch } from './catalog/scheduler-watch.ts'
import { sentBefore } from './catalog/sent-before.ts'
import { StateLost } from './catalog/state-lost.ts'
import { DeadLetters } from './dead-letters/dead-letters.ts'
import { LetterStore, type LetterStoreOptions } from './dead-letters/letter-store.ts'
import { TimerSetter } from './dead-letters/timer-setter.ts'
import { Deployer } from './deploy/deploy.ts'
import { Earlier } from './deploy/earlier.ts'
import { Gatekeeper } from './deploy/gatekeeper.ts'
import type { BundleSink } from './deploy/version-writer.ts'
import { refuse } from './errors.ts'
import { ensureLogs } from './follow/logs.ts'
import { Places, type ReaderKind } from './follow/places.ts'
import { PlainFollowers } from './follow/plain.ts'
import { answerUnreadable } from './http/unreadable.ts'
import { Ingest } from './ingest/ingest.ts'
import { Pulse } from './ingest/pulse.ts'
import { RawIngest } from './ingest/raw-ingest.ts'
import { SentAccount } from './ingest/sent-account.ts'
import { Ownership } from './kept/ownership.ts'
import { untilMade } from './kept/until-made.ts'
import { LeaderWork } from './leader-work.ts'
import { makeMetrics } from './metrics.ts'
import type { GatewayParts } from './parts.ts'
import { Prober } from './probe/index.ts'
import type { RunnerDownload } from './routes/runner.ts'
import type { BundleRemover } from './versions/collector.ts'
import type { BundleReader } from './versions/sources.ts'

const settleMs = 10_000
/** The units in infra/deploy leave time for it. */
const accountMs = 60_000
const deadLetterDefaults = { bytesMax: 64 * 1024 * 1024, ageMaxMs: 7 * 24 * 3600_000 }
const answerMs = 3000
/** How long a start waits to learn whose state JetStream holds. */
const claimMs = 2000

/** Ends a part. */
type End = () => unknown

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
  readonly bundles: BundleSink & BundleRemover & BundleReader
  readonly assets: Assets
  /** A connection without records; default: `nc`. */
  readonly checkpointConnection?: NatsConnection
  /** Opens the connection for spilling to disk, on first use. Absent: waiting records stay in memory. */
  readonly connectSpill?: () => Promise<NatsConnection>
  readonly clock: Clock
  readonly log: Log
  /** The runner's archive, if this gateway serves it. */
  readonly runner?: RunnerDownload | undefined
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
  /** Called at the end, once it is known how many records are given up, if any are, and before their account is written. */
  readonly onGivenUp?: (records: number) => void
}

export interface Gateway {
  readonly url: string
  readonly id: string
  /**
   * Resolves, with the reason, when the gateway must be restarted because its sent records are no longer accounted
   * for.
   */
  readonly forgotten: Promise<string>
  /** Ends the gateway in order. The caller's connections and store stay open. */
  close(): Promise<GivenUp>
}

export interface GivenUp {
  /** Accepted records that were given up because nobody has processed them. */
  readonly records: number
  /** The store has the account of them. */
  readonly isWritten: boolean
}

/** @throws {CodedError} ERR_GATEWAY_PORT_TAKEN, ERR_OTHER_STORE */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const closing = new AbortController()
  const ends: End[] = []
  let ended: Promise<void> | undefined
  const end = (): Promise<void> => {
    const why = 'The gateway is stopping. Try again in a moment, behind the records accepted.'
    closing.abort(refuse('ERR_CLOSING', why))
    ended ??= endAll(ends, options.log)
    return ended
  }
  try {
    const { givenUp, ...started } = await start(options, closing.signal, ends)
    return { ...started, close: () => end().then(givenUp) }
  } catch (error) {
    await end().catch(() => undefined) // logged
    throw error
  }
}

/** The last part first. @throws What the first end that failed has thrown, after all of them. */
async function endAll(ends: readonly End[], log: Log): Promise<void> {
  const failures: unknown[] = []
  for (const end of ends.toReversed()) {
    try {
      await end()
    } catch (error) {
      log.error({ err: error }, 'a part of the gateway cannot be ended')
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}

/**
 * Makes the parts, each behind those it needs, and starts them.
 * @param closing Aborted, with the refusal to answer, before the ends are called.
 * @param ends Takes the end of each part.
 */
async function start(
  options: GatewayOptions,
  closing: AbortSignal,
  ends: End[],
): Promise<Omit<Gateway, 'close'> & { readonly givenUp: () => GivenUp }> {
  const { namespace, nc, wire, store, bundles, assets, clock, log, bufferBytesMax } = options
  const { replicas = 'auto', checkpointConnection = nc } = options
  const gatewayId = `gateway-${randomBytes(4).toString('hex')}`
  const metrics = makeMetrics(namespace)
  const ownership = new Ownership({
    ...{ nc: checkpointConnection, store, namespace, replicas, replaces: options.replacesStore },
  })
  await ownership.claimSoon(claimMs)

  const catalog = new Catalog(store, namespace, (error) =>
    log.error({ err: error }, 'cannot read the store, or take what it says'),
  )
  ends.push(() => catalog.close())
  const view = () => catalog.current
  const heartbeats = new Heartbeats(clock)
  const stateLost = new StateLost(heartbeats)
  const prober = new Prober(clock)
  ends.push(() => prober.close())

  const spill =
    options.connectSpill &&
    new SpillStore({
      ...{ namespace, connect: options.connectSpill, onTrouble: (message: string) => log.warn(message) },
    })
  const ingest = new Ingest({ wire, namespace, gatewayId, clock, spill, bufferBytesMax })
  const rawIngest = new RawIngest({ nc, namespace, ingest, clock, metrics, log })
  const pulse = new Pulse({ wire, namespace, gatewayId, clock, ingest, rawIngest })
  ingest.onWant = () => pulse.soon()
  ends.push(() => pulse.stop())
  const forgotten = Promise.withResolvers<string>()
  const sentAccount = await SentAccount.open({
    ...{ store, namespace, gatewayId, clock, log, view },
    outputs: () => ingest.ledger(),
    onForgotten: () => forgotten.resolve('it was taken for gone, and what it has sent is added up already'),
  })
  let records = 0
  let isWritten = false
  ends.push(async () => {
    isWritten = await sentAccount.close(AbortSignal.timeout(accountMs)) // GW4
  })
  ends.push(() => spill?.close()) // what is given up must not be stored after all
  ends.push(async () => {
    records = await settled(ingest, clock) // GW3
    if (records > 0) options.onGivenUp?.(records)
  })

  const leaderWork = new LeaderWork({
    ...{ namespace, gatewayId, nc, wire, checkpointConnection, store, bundles, ownership, catalog },
    ...{ heartbeats, ingest, rawIngest, pulse, metrics, clock, log },
  })
  ends.push(
    wire.subscribe(subjects.heartbeatSubject(namespace, '*'), (bytes) => {
      const beat = heartbeats.take(bytes)
      if (beat === undefined) return
      stateLost.hear(beat)
      leaderWork.hear(beat)
    }),
  )
  catalog.onChange = (view) => {
    stateLost.adopt(view)
    try {
      if (ingest.adopt(view)) pulse.beat()
    } finally {
      leaderWork.adopt(view)
    }
  }
  await catalog.refresh()
  const schedulerWatch = new SchedulerWatch({ store, clock, leads: metrics.schedulerLeads })
  ends.push(() => schedulerWatch.close())
  await schedulerWatch.start()
  const jetStreamWatch = new JetStreamWatch({ nc: checkpointConnection, clock })
  ends.push(() => jetStreamWatch.close())
  void jetStreamWatch.start()

  const differences = new DifferenceStore(checkpointConnection, namespace)
  const letterStore = new LetterStore({
    ...{ nc, namespace, replicas, ...deadLetterDefaults },
    ...options.deadLetters,
  })
  const making = [
    { what: 'the store of bundles', make: () => ensureBundleStream(checkpointConnection, replicas) },
    { what: 'the stream of logs', make: () => ensureLogs(nc, replicas) },
    {
      what: 'the stream of checkpoints',
      make: () => ownership.claim().finally(() => leaderWork.sweep()),
    },
    { what: 'the stream of what is spilled', make: () => ensureSpillStream(checkpointConnection, replicas) },
    { what: 'the streams of dead letters', make: () => letterStore.ensure() },
    { what: 'the stream of differences', make: () => differences.ensure(replicas) },
  ].map(({ what, make }) =>
    untilMade(make, closing, (error) => log.warn({ err: error }, `cannot make ${what}`)),
  )
  ends.push(() => Promise.all(making))
  const leading = leaderWork.run(closing)
  ends.push(() => leading) // GW2

  const deployer = new Deployer({
    ...{ store, bundles, assets, prober, catalog, heartbeats, namespace, clock },
    gatekeeper: new Gatekeeper({ nc, namespace, clock }),
    earlier: new Earlier({ nc, checkpointConnection, namespace, ownership, differences, log }),
  })
  const deadLetters = new DeadLetters({
    ...{ store: letterStore, ingest, clock, view },
    timers: new TimerSetter({ nc, namespace, view }),
  })
  const accountsOf = accountsBy({
    ...{ view, heartbeats, stateLost, gatewayId, sentTo: sentBefore(store, namespace) },
    ownRows: () => ingest.ledger(),
  })
  const ledgerGauges = new LedgerGauges({
    ...{ view, heartbeats, accountsOf, metrics, clock },
    deadLetters,
  })
  const spillOf = {
    ...{ nc: checkpointConnection, namespace },
    outputs: () => [...heartbeats.spoken(producersSpokeMs), ...ingest.ledger()],
  }
  const parts: GatewayParts = {
    ...{ namespace, gatewayId, nc, wire, store, bundles, assets, catalog, heartbeats, ingest, deployer },
    ...{ accountsOf, ledgerGauges, deadLetters, differences, schedulerWatch, metrics, clock, log, closing },
    jetStreamWatch,
    plain: new PlainFollowers({ wire, namespace }),
    leftOnDisk: (live) => leftOnDisk(live, spillOf),
    places: new Places(metrics.followers, options.placesMax),
  }
  const server = createAdaptorServer({ fetch: makeApp(parts, options.token, options.runner).fetch }) as Server
  server.on('clientError', answerUnreadable)
  server.requestTimeout = 0 // a publish may last as long as its client wants
  await listen(server, options.host, options.port)
  ends.push(() => endServer(server)) // GW1
  const { address, port } = server.address() as AddressInfo
  const host = address.includes(':') ? `[${address}]` : address
  const url = `http://${host}:${port}`
  return { url, id: gatewayId, forgotten: forgotten.promise, givenUp: () => ({ records, isWritten }) }
}

/** Waits a while for what was accepted to be acknowledged. @returns How many records are given up. */
async function settled(ingest: Ingest, clock: Clock): Promise<number> {
  const stop = new AbortController()
  const cancel = clock.after(settleMs, () => stop.abort())
  const givenUp = await ingest.close(stop.signal)
  cancel()
  return givenUp
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
  const timer = setTimeout(() => server.closeAllConnections(), answerMs)
  server.close()
  server.closeIdleConnections()
  await once(server, 'close')
  clearTimeout(timer)
}
