/**
 * JetStreamWatch: whether JetStream answers this gateway. NATS may carry records while its JetStream hangs: whoever has to store
 * something then waits, and with nats-server 2.9 the connection over which he asked is silent until the server is restarted.
 *   JW1. It asks over a connection that stores things, not over one that carries records or heartbeats.
 *   JW2. It says what this gateway has seen: of whom nothing is heard meanwhile may be as well as before.
 * Design: docs/design/0038-who-can-know.md
 * @module
 */
import type { NatsConnection } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'

const lookMs = 2_000
const answerMs = 2_000

export interface JetStreamWatchOptions {
  /** JW1. */
  readonly nc: Pick<NatsConnection, 'request'>
  readonly clock: Clock
}

export class JetStreamWatch {
  readonly #options: JetStreamWatchOptions
  #silentSinceMs: number | undefined
  #cancel: () => void = () => undefined
  #closed = false

  constructor(options: JetStreamWatchOptions) {
    this.#options = options
  }

  /** Looks once, and from then on again and again. */
  async start(): Promise<void> {
    const { clock } = this.#options
    const nowMs = clock.monotonicMs()
    const answered = await this.ask().then(
      () => true,
      () => false,
    )
    if (this.#closed) return
    this.#silentSinceMs = answered ? undefined : (this.#silentSinceMs ?? nowMs)
    this.#cancel = clock.after(lookMs, () => void this.start())
  }

  /** @throws {Error} Why it does not answer, or that it has no leader. */
  async ask(): Promise<void> {
    const answer = await this.#options.nc.request('$JS.API.INFO', undefined, { timeout: answerMs })
    const { error } = answer.json<{ readonly error?: { readonly description: string } }>()
    if (error !== undefined) throw new Error(error.description)
  }

  /** JW2, as a sentence; undefined: it answers. */
  get silence(): string | undefined {
    if (this.#silentSinceMs === undefined) return undefined
    const seconds = Math.floor((this.#options.clock.monotonicMs() - this.#silentSinceMs) / 1000)
    return `JetStream has not answered this gateway for ${seconds} s: checkpoints, dead letters, logs and records to be queued on disk wait, and instances that wait for them may not be heard. Is there room on the disk of nats-server?`
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }
}
