/**
 * Pulse: this gateway's heartbeat. Every second it reports what the ingest has sent, so that any gateway can add up
 * ledgers.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { subjects, type Wire } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { Heartbeat, OutputLedger } from '../../infra/control/messages.ts'

const beatEveryMs = 1000
/** The least time between two heartbeats. */
const beatLeastMs = 50

export interface PulseOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly gatewayId: string
  readonly clock: Clock
  readonly outputs: () => readonly OutputLedger[]
  readonly rawDropped: () => Readonly<Record<string, number>>
  /** The epoch at which it leads the raw ingest, if it does. */
  readonly ingestEpoch: () => number | undefined
}

export class Pulse {
  readonly #options: PulseOptions
  readonly #incarnation = randomBytes(8).toString('hex')
  #stopTimer: () => void = () => undefined
  #beatMs = Number.NEGATIVE_INFINITY

  constructor(options: PulseOptions) {
    this.#options = options
    this.beat()
  }

  /** Beats now, and from now on every second. */
  beat(): void {
    this.#stopTimer()
    this.#beatMs = this.#options.clock.monotonicMs()
    this.#publish('running')
    this.#stopTimer = this.#options.clock.after(beatEveryMs, () => this.beat())
  }

  /** Sends an early heartbeat because there is news; calls that come close together share one. */
  soon(): void {
    const { clock } = this.#options
    this.#stopTimer()
    this.#stopTimer = clock.after(Math.max(0, this.#beatMs + beatLeastMs - clock.monotonicMs()), () =>
      this.beat(),
    )
  }

  /** Sends the last heartbeat. */
  stop(): void {
    this.#stopTimer()
    this.#publish('stopped')
  }

  #publish(state: Heartbeat['state']): void {
    const { wire, namespace, gatewayId, clock, outputs, rawDropped } = this.#options
    const ingestEpoch = this.#options.ingestEpoch()
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
      rssBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
      instances: [],
      outputs: outputs(),
      rawDropped: rawDropped(),
      ...(ingestEpoch === undefined ? {} : { ingestEpoch }),
    }
    wire.publish(subjects.heartbeatSubject(namespace, gatewayId), Buffer.from(JSON.stringify(beat)))
  }
}
