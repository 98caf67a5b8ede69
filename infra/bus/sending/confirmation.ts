/**
 * Confirmation: knows which published frames the server has read. One PING at a time is sent behind them; its PONG confirms
 * everything before it (W2 of wire.ts).
 *
 *  CF1. Frames published under a ticket are confirmed by the PONG of the PING that closed it.
 *  CF2. Published frames are confirmed soon, or at once if they are many or somebody waits (P6 of producer.ts).
 * @module
 */
import type { Clock } from '../../clock.ts'
import type { Wire } from '../wire/wire.ts'

/** Bound of bytes published after the last PING: what a reconnect can lose, and a frozen server can pile up. */
const unconfirmedBytesMax = 4 * 1024 * 1024
/**
 * Beyond this many bytes a PING is sent at once; for fewer after `confirmMs`, unless somebody waits. Each PING wakes the
 * server and this process, and most frames are confirmed by an owner before (P1 of out-partition.ts).
 */
const confirmedAtOnceBytes = 256 * 1024
const confirmMs = 100

export interface ConfirmationOptions {
  readonly wire: Wire
  readonly clock: Clock
  readonly isAwaited: () => boolean
  /** Called when the server has read everything up to a ticket. */
  readonly onConfirmed: (ticket: number) => void
}

export class Confirmation {
  readonly #options: ConfirmationOptions
  #ticket = 0
  #bytes = 0
  #flushing = false
  #cancel: (() => void) | undefined

  constructor(options: ConfirmationOptions) {
    this.#options = options
  }

  /** The ticket for frames published now. */
  get ticket(): number {
    return this.#ticket
  }

  /** False while too much is unconfirmed. */
  get hasRoom(): boolean {
    return this.#bytes < unconfirmedBytesMax
  }

  published(bytes: number): void {
    this.#bytes += bytes
  }

  /** Makes sure that published frames get confirmed (CF2). */
  inTime(): void {
    if (this.#bytes >= confirmedAtOnceBytes || this.#options.isAwaited()) return this.now()
    if (this.#bytes > 0) this.#cancel ??= this.#options.clock.after(confirmMs, () => this.now())
  }

  now(): void {
    const { wire, onConfirmed } = this.#options
    this.stop()
    if (this.#flushing || this.#bytes === 0 || !wire.connected) return
    this.#flushing = true
    const ticket = this.#ticket++
    this.#bytes = 0
    wire.flush().then(
      () => {
        this.#flushing = false
        onConfirmed(ticket)
      },
      () => {
        this.#flushing = false // disconnected: the reconnect sends all again, and may be over already
        this.now()
      },
    )
  }

  /** The connection is back, and everything unconfirmed is published again. */
  restart(): void {
    this.#bytes = 0
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
