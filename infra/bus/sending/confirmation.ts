/**
 * Confirmation: which of the frames that were published the server has read. One PING at a time goes out behind them; its PONG
 * confirms all before it (W2).
 *
 *  CF1. Frames published under a ticket are confirmed by the PONG of the PING that closed it.
 *  CF2. What is published is confirmed soon, or at once where it is much or somebody waits. (P6 of producer.ts)
 * @module
 */
import type { Clock } from '../../clock.ts'
import type { Wire } from '../wire/wire.ts'

/** Bytes published beyond the last PING: what a reconnect can lose at most, and a frozen server can pile up here. */
const unconfirmedBytesMax = 4 * 1024 * 1024
/**
 * So much waits for a PING of its own; less of it for so long, unless somebody waits: each PING wakes the server and us, and of most frames
 * an owner tells before (P1 of out-partition.ts).
 */
const confirmedAtOnceBytes = 256 * 1024
const confirmMs = 100

export interface ConfirmationOptions {
  readonly wire: Wire
  readonly clock: Clock
  readonly isAwaited: () => boolean
  /** All that was published up to a ticket was read. */
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

  /** Of what is published now. */
  get ticket(): number {
    return this.#ticket
  }

  /** False while too much is not confirmed. */
  get hasRoom(): boolean {
    return this.#bytes < unconfirmedBytesMax
  }

  published(bytes: number): void {
    this.#bytes += bytes
  }

  /** Sees to it that what was published is confirmed. */
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

  /** The connection is back: what was published before is published again. */
  restart(): void {
    this.#bytes = 0
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
