/**
 * Gone: the killed producers about which the scheduler asks: how far had they come? It asks every second as long as it needs to know,
 * and each heartbeat meanwhile has the answer, so a question or an answer may be lost.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { GoneProducer } from '../../infra/control/messages/accounts.ts'

/** How long a producer is remembered after the last question. */
const keptMs = 3_000

export class Gone {
  readonly #clock: Clock
  readonly #asked = new Map<string, { readonly one: GoneProducer; readonly atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns Whether the question names a new producer. */
  take(gone: readonly GoneProducer[]): boolean {
    const before = this.#asked.size
    const atMs = this.#clock.monotonicMs()
    for (const one of gone) this.#asked.set(`${one.name}/${one.index}/${one.firstEpoch}`, { one, atMs })
    return this.#asked.size > before
  }

  get asked(): GoneProducer[] {
    const beforeMs = this.#clock.monotonicMs() - keptMs
    for (const [key, { atMs }] of this.#asked) if (atMs < beforeMs) this.#asked.delete(key)
    return [...this.#asked.values()].map(({ one }) => one)
  }
}
