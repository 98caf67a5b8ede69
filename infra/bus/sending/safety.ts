/**
 * Safety: knows when everything that a producer has taken is safe: with the owners downstream, in order, or stored if it
 * queues.
 *
 *   SF1. Owners say with each batch what they have accepted. One that is silent for `askFirstMs` is busy with a long batch, and
 *        is asked by a beacon, which it answers at once; again after ever longer pauses.
 * Design: docs/design/0002-channels.md
 * @module
 */
import type { Clock } from '../../clock.ts'
import { waitIn, wake } from '../wire/waiters.ts'
import type { OutPartition } from './out-partition.ts'
import { type OutStream, unsafeOf } from './out-stream.ts'

const askFirstMs = 20
const askLastMs = 2_000

export interface SafetyOptions {
  readonly clock: Clock
  readonly streams: ReadonlyMap<string, OutStream>
  /** Asks the owners of a partition what they have accepted. */
  readonly ask: (out: OutPartition) => void
}

export class Safety {
  readonly #options: SafetyOptions
  readonly #waiters = new Set<() => void>()
  #closed = false

  constructor(options: SafetyOptions) {
    this.#options = options
  }

  get isSafe(): boolean {
    return unsafeOf(this.#options.streams.values()).length === 0
  }

  /** Resolves when everything taken until now is safe. @throws the signal's reason */
  async reached(signal?: AbortSignal): Promise<void> {
    const { clock, streams, ask } = this.#options
    const open = unsafeOf(streams.values())
    let askMs = askFirstMs
    const askLater = (): (() => void) =>
      clock.after(askMs, () => {
        for (const { out, mark } of open) if (!out.safeThrough(mark)) ask(out)
        askMs = Math.min(2 * askMs, askLastMs)
        cancel = askLater()
      })
    let cancel = askLater()
    try {
      for (;;) {
        while (open.length > 0 && open.at(-1)!.out.safeThrough(open.at(-1)!.mark)) open.pop()
        if (open.length === 0 || this.#closed) return
        await waitIn(this.#waiters, signal)
      }
    } finally {
      cancel()
    }
  }

  /** Wakes the waiters: something may have become safe. */
  look(): void {
    if (this.#waiters.size > 0) wake(this.#waiters)
  }

  /** Wakes the waiters for the last time. */
  close(): void {
    this.#closed = true
    wake(this.#waiters)
  }
}
