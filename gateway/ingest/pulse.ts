/**
 * Pulse: this gateway's heartbeat. Every second it reports what the ingest has sent, so that any gateway can add up
 * ledgers.
 *   PU1. Nothing follows the last heartbeat, whatever is still to be told.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { subjects, type Wire } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { jsonBytes } from '../../infra/json.ts'
import { residentBytes } from '../../infra/memory-usage.ts'
import type { Ingest } from './ingest.ts'
import type { RawIngest } from './raw-ingest.ts'

const beatEveryMs = 1000
/** The least time between two heartbeats. */
const beatLeastMs = 50

export interface PulseOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly gatewayId: string
  readonly clock: Clock
  readonly ingest: Pick<Ingest, 'ledger'>
  readonly rawIngest: Pick<RawIngest, 'dropped'>
}

export class Pulse {
  readonly #options: PulseOptions
  readonly #incarnation = randomBytes(8).toString('hex')
  #stopTimer: () => void = () => undefined
  #beatMs = Number.NEGATIVE_INFINITY
  #ingestEpoch: number | undefined
  #isStopped = false

  constructor(options: PulseOptions) {
    this.#options = options
    this.beat()
  }

  /** Beats now, and from now on every second. */
  beat(): void {
    if (this.#isStopped) return
    this.#stopTimer()
    this.#beatMs = this.#options.clock.monotonicMs()
    this.#publish('running')
    this.#stopTimer = this.#options.clock.after(beatEveryMs, () => this.beat())
  }

  /** Sends an early heartbeat because there is news; calls that come close together share one. */
  soon(): void {
    if (this.#isStopped) return
    const { clock } = this.#options
    this.#stopTimer()
    this.#stopTimer = clock.after(Math.max(0, this.#beatMs + beatLeastMs - clock.monotonicMs()), () =>
      this.beat(),
    )
  }

  /** Announces the epoch at which this gateway leads, or that it leads no more. */
  leads(epoch: number | undefined): void {
    this.#ingestEpoch = epoch
    this.beat()
  }

  /** Sends the last heartbeat. */
  stop(): void {
    this.#isStopped = true
    this.#stopTimer()
    this.#publish('stopped')
  }

  #publish(state: Heartbeat['state']): void {
    const { wire, namespace, gatewayId, clock, ingest, rawIngest } = this.#options
    const ingestEpoch = this.#ingestEpoch
    if (!wire.connected) return
    const { user, system } = process.cpuUsage()
    const beat: Heartbeat = {
      schema: 1,
      kind: 'gateway',
      id: gatewayId,
      incarnation: this.#incarnation,
      generation: 0,
      sentAtMs: clock.nowMs(),
      state,
      pid: process.pid,
      rssBytes: residentBytes(),
      cpuSeconds: (user + system) / 1e6,
      instances: [],
      outputs: ingest.ledger(),
      rawDropped: rawIngest.dropped,
      ...(ingestEpoch === undefined ? {} : { ingestEpoch }),
    }
    wire.publish(subjects.heartbeatSubject(namespace, gatewayId), jsonBytes(beat))
  }
}
