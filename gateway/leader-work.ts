/**
 * LeaderWork: what only one gateway of a namespace may do, as long as this one leads: raw records from and to NATS,
 * records that ended producers left on disk, accounts of killed gateways, and the removal of what nobody needs.
 *
 *   LW1. The epoch is announced before the work begins, so that an earlier leader that is cut off from the store ends.
 * Design: docs/design/0003-processes-and-store.md
 * @module
 */
import { type NatsConnection, subjects, unlessAborted, type Wire } from '../infra/bus/index.ts'
import type { Clock } from '../infra/clock.ts'
import type { Heartbeat } from '../infra/control/messages/heartbeat.ts'
import type { Log } from '../infra/log.ts'
import { Orphans } from '../infra/spill/index.ts'
import type { Store } from '../infra/store/index.ts'
import type { Catalog, CatalogView } from './catalog/catalog.ts'
import { type Heartbeats, producersSpokeMs } from './catalog/heartbeats.ts'
import { Adopter } from './ingest/adopter.ts'
import { GoneGateways } from './ingest/gone-gateways.ts'
import type { Ingest } from './ingest/ingest.ts'
import { Successors, whileLeading } from './ingest/leader.ts'
import type { Pulse } from './ingest/pulse.ts'
import type { RawIngest } from './ingest/raw-ingest.ts'
import { RawRepublish } from './ingest/raw-republish.ts'
import { CheckpointSweeper } from './kept/checkpoints.ts'
import type { Ownership } from './kept/ownership.ts'
import type { GatewayMetrics } from './metrics.ts'
import { type BundleRemover, startCollector } from './versions/collector.ts'

/** How long an end waits for a chunk that is being taken off the disk: JetStream may be silent. */
const idleMs = 3000

export interface LeaderWorkOptions {
  readonly namespace: string
  readonly gatewayId: string
  readonly nc: NatsConnection
  readonly wire: Wire
  /** A connection without records. */
  readonly checkpointConnection: NatsConnection
  readonly store: Store
  readonly bundles: BundleRemover
  readonly ownership: Ownership
  readonly catalog: Catalog
  readonly heartbeats: Heartbeats
  readonly ingest: Ingest
  readonly rawIngest: RawIngest
  readonly pulse: Pulse
  readonly metrics: GatewayMetrics
  readonly clock: Clock
  readonly log: Log
}

export class LeaderWork {
  readonly #options: LeaderWorkOptions
  readonly #successors = new Successors()
  readonly #adopter: Adopter
  readonly #goneGateways: GoneGateways
  readonly #republish: RawRepublish
  readonly #sweeper: CheckpointSweeper
  #isLeading = false

  constructor(options: LeaderWorkOptions) {
    this.#options = options
    const { namespace, gatewayId, nc, wire, checkpointConnection, store, clock, log } = options
    const { ownership, catalog, heartbeats, ingest, metrics } = options
    this.#adopter = new Adopter({
      orphans: new Orphans({ nc: checkpointConnection, namespace, clock }),
      ...{ ingest, clock, log, isOurs: () => ownership.isOurs },
      outputs: () => [...heartbeats.spoken(producersSpokeMs), ...ingest.ledger()],
    })
    this.#goneGateways = new GoneGateways({
      ...{ store, namespace, gatewayId, clock, log, view: () => catalog.current },
      silentMs: (id) => heartbeats.silentMs(id),
      ask(gone) {
        if (wire.connected) wire.publish(subjects.goneSubject(namespace), gone)
        return wire.connected
      },
    })
    this.#republish = new RawRepublish({ nc, wire, namespace, metrics })
    this.#sweeper = new CheckpointSweeper({
      ...{ nc: checkpointConnection, namespace, log },
      functions: () => new Set(catalog.current.functions.keys()),
    })
  }

  /** Works whenever this gateway leads, until the signal aborts and what was taken off the disk is in its lane. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, namespace, log } = this.#options
    const begin = (epoch: number) => this.#begin(epoch)
    await whileLeading(store, `ingest-${namespace}`, signal, log, this.#successors, begin)
    await unlessAborted(this.#adopter.idle, AbortSignal.timeout(idleMs))
  }

  hear(beat: Heartbeat): void {
    if (beat.ingestEpoch !== undefined) this.#successors.hear(beat.ingestEpoch)
    if (this.#isLeading) this.#goneGateways.hear(beat)
  }

  /** Called when functions or streams may have changed. */
  adopt(view: CatalogView): void {
    if (this.#isLeading) this.#republish.adopt(view)
    this.sweep()
  }

  /** Called when checkpoints may be there that no function needs, or when it has become known whose they are. */
  sweep(): void {
    if (this.#isLeading && this.#options.ownership.isOurs) this.#sweeper.adopt()
  }

  /** @returns A function that ends the work at once. */
  #begin(epoch: number): () => void {
    const { store, namespace, bundles, catalog, ownership, rawIngest, pulse, clock, log } = this.#options
    this.#isLeading = true
    pulse.leads(epoch) // LW1
    const isAlone = () => ownership.isAlone()
    const stops = [
      rawIngest.start(),
      this.#adopter.start(),
      this.#goneGateways.start(),
      startCollector({ store, bundles, namespace, clock, log, isAlone }),
      () => this.#republish.stop(),
    ]
    this.adopt(catalog.current)
    return () => {
      this.#isLeading = false
      pulse.leads(undefined)
      for (const stop of stops) stop()
    }
  }
}
