/**
 * Pace: decides when a consumer acknowledges what is done, if nobody is known to wait for it. A credit wakes nats-server and
 * a producer, which costs more than a record does.
 *
 *   PA1. It is told at once if much was done since the last credit, or if that was `tellMs` ago; else along with the next
 *        credit, and after `tellMs` at most.
 * Design: docs/design/0002-channels.md
 * @module
 */
import type { Clock } from '../../clock.ts'

/** Bytes of frames beyond which producers may be waiting for the credit. */
const muchBytes = 64 * 1024
const tellMs = 5

export class Pace {
  readonly #clock: Clock
  readonly #tell: () => void
  #bytes = 0
  #toldMs = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined

  /** @param tell Sends everything due, and calls `told`. */
  constructor(clock: Clock, tell: () => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** Notes that frames of this many bytes are done. */
  add(bytes: number): void {
    this.#bytes += bytes
  }

  /** Asks for a credit, now or soon (PA1). */
  soon(): void {
    const waitMs = this.#bytes > muchBytes ? 0 : this.#toldMs + tellMs - this.#clock.monotonicMs()
    if (waitMs <= 0) this.#tell()
    else this.#cancel ??= this.#clock.after(waitMs, this.#tell)
  }

  /** Notes that everything was told. */
  told(): void {
    this.#bytes = 0
    this.#toldMs = this.#clock.monotonicMs()
    this.close()
  }

  /** Ends it: nothing more is told. */
  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
