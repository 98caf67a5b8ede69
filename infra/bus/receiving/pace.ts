/**
 * Pace: when a consumer tells what is done, where nobody is known to wait for it. A credit wakes nats-server and a producer, which
 * costs more than a record does.
 *
 *   PA1. What is done is told at once if much was done since something was last told, or nothing was told for `tellMs`;
 *        else along with whatever is told next, and after `tellMs` at most.
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

  /** @param tell Tells all that is to be told, and says `told`. */
  constructor(clock: Clock, tell: () => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** So many bytes of frames are done. */
  add(bytes: number): void {
    this.#bytes += bytes
  }

  /** Something is to be told. */
  soon(): void {
    const waitMs = this.#bytes > muchBytes ? 0 : this.#toldMs + tellMs - this.#clock.monotonicMs()
    if (waitMs <= 0) this.#tell()
    else this.#cancel ??= this.#clock.after(waitMs, this.#tell)
  }

  /** All was told. */
  told(): void {
    this.#bytes = 0
    this.#toldMs = this.#clock.monotonicMs()
    this.close()
  }

  /** Nothing more will be. */
  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
