/**
 * Places: limits the readers of each kind. A reader costs memory and a file descriptor even when idle, and each
 * renewal of a holding one makes every process read the store.
 * @module
 */
import type { Gauge } from '../../infra/metrics.ts'
import { refuse } from '../errors.ts'

export const placesMax = { plain: 1000, hold: 100, logs: 100 }
export type ReaderKind = keyof typeof placesMax

const retryAfterSeconds = 10

export class Places {
  readonly #gauge: Gauge<'kind'>
  readonly #max: Readonly<Record<ReaderKind, number>>
  readonly #taken: Record<ReaderKind, number> = { plain: 0, hold: 0, logs: 0 }

  constructor(gauge: Gauge<'kind'>, max: Partial<Record<ReaderKind, number>> = {}) {
    this.#gauge = gauge
    this.#max = { ...placesMax, ...max }
  }

  /** @returns A function that frees the place. @throws {CodedError} ERR_BUSY */
  take(kind: ReaderKind): () => void {
    const max = this.#max[kind]
    if (this.#taken[kind] >= max) {
      const text = `Cannot follow: this gateway has ${max} readers of this kind (${kind}) already. Try again when one has gone, or at another gateway.`
      throw refuse('ERR_BUSY', text, { retryAfterSeconds })
    }
    this.#add(kind, 1)
    return () => this.#add(kind, -1)
  }

  #add(kind: ReaderKind, change: 1 | -1): void {
    this.#taken[kind] += change
    this.#gauge.set({ kind }, this.#taken[kind])
  }
}
