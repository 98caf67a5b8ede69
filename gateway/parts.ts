/** Parts: the objects that the routes use, made by `startGateway`. */
import type { Assets } from '../infra/bundles/index.ts'
import type { NatsConnection, Wire } from '../infra/bus/index.ts'
import type { Clock } from '../infra/clock.ts'
import type { DifferenceStore } from '../infra/differences/index.ts'
import type { Log } from '../infra/log.ts'
import type { Store } from '../infra/store/index.ts'
import type { AccountsOf } from './catalog/accounts.ts'
import type { Catalog, LiveFunction } from './catalog/catalog.ts'
import type { Heartbeats } from './catalog/heartbeats.ts'
import type { JetStreamWatch } from './catalog/jetstream-watch.ts'
import type { LedgerGauges } from './catalog/ledger-gauges.ts'
import type { SchedulerWatch } from './catalog/scheduler-watch.ts'
import type { DeadLetters } from './dead-letters/dead-letters.ts'
import type { Deployer } from './deploy/deploy.ts'
import type { Places } from './follow/places.ts'
import type { PlainFollowers } from './follow/plain.ts'
import type { Ingest } from './ingest/ingest.ts'
import type { GatewayMetrics } from './metrics.ts'
import type { BundleReader } from './versions/sources.ts'

export interface GatewayParts {
  readonly namespace: string
  readonly gatewayId: string
  readonly nc: NatsConnection
  readonly wire: Wire
  readonly store: Store
  readonly bundles: BundleReader
  readonly assets: Assets
  readonly catalog: Catalog
  readonly heartbeats: Heartbeats
  readonly schedulerWatch: SchedulerWatch
  readonly jetStreamWatch: JetStreamWatch
  readonly accountsOf: AccountsOf
  /** How many chunks wait on disk for a function in nobody's account. */
  readonly leftOnDisk: (live: LiveFunction) => Promise<number>
  readonly ledgerGauges: LedgerGauges
  readonly ingest: Ingest
  readonly deployer: Deployer
  readonly deadLetters: DeadLetters
  readonly differences: DifferenceStore
  readonly plain: PlainFollowers
  readonly places: Places
  readonly metrics: GatewayMetrics
  readonly clock: Clock
  readonly log: Log
  /** Aborted, with the refusal to answer, when the gateway stops. */
  readonly closing: AbortSignal
}

/** Why what processes have told may be out of date; of JetStream only while NATS itself is there. */
export function cutOffFromNats({
  heartbeats: { unheard },
  jetStreamWatch: { silence },
}: Pick<GatewayParts, 'heartbeats' | 'jetStreamWatch'>): {
  readonly unheard?: string
  readonly noJetStream?: string
} {
  if (unheard !== undefined) return { unheard }
  return silence === undefined ? {} : { noJetStream: silence }
}
