/**
 * Gone: the producers of whom the scheduler asks how far they have come. It asks each second while it wants to know; what it asked
 * for is in every heartbeat meanwhile, so none of both need arrive.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { GoneProducer } from '../../infra/control/messages.ts'

/** Without being asked again. */
const keptMs = 3_000

export class Gone {
  readonly #clock: Clock
  readonly #asked = new Map<string, { readonly one: GoneProducer; readonly atMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns Whether somebody is among them who was not asked for before. */
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
