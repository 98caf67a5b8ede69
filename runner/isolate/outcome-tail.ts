/**
 * OutcomeTail: what an isolate has published of the call at hand and nobody has read yet.
 * @module
 */
import { takeMemory } from '../../infra/bus/index.ts'
import { emptyOutcome, type Outcome, OutcomeReader, type OutputShape } from '../../sdk/runtime/index.ts'
import type { Regions } from './regions.ts'

export class OutcomeTail {
  readonly #name: string
  readonly #regions: Regions
  #table: string
  #reader: OutcomeReader
  #readTo = 0
  #from = 0

  /** @param table The output streams, as the isolate counts them. */
  constructor(name: string, regions: Regions, table: readonly OutputShape[]) {
    this.#name = name
    this.#regions = regions
    this.#table = JSON.stringify(table)
    this.#reader = new OutcomeReader(table, takeMemory)
  }

  /** The output streams are others now. @returns What the isolate is to be told; undefined if they are as they were. */
  rewire(table: readonly OutputShape[]): string | undefined {
    const json = JSON.stringify(table)
    if (json === this.#table) return undefined
    this.#table = json
    this.#reader = new OutcomeReader(table, takeMemory)
    return json
  }

  /** Before a call. */
  begin(): void {
    this.#readTo = 0
  }

  /** @throws {Error} What is there cannot be what an isolate of ours has left. */
  read(): Outcome {
    const [from, to] = [this.#readTo, this.#regions.published]
    if (to < from) throw new Error(`Cannot read what ${this.#name} left: it ends at ${to}, before ${from}`)
    this.#from = from
    this.#readTo = to
    return to === from ? emptyOutcome() : this.#reader.read(this.#regions.copyOutcome(from, to))
  }

  /** The log that `read` has read last, good until the next copy is asked for. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.#regions.copyOutcome(this.#from, this.#readTo)
  }

  /** Records that were published and not yet read. */
  recordsUnread(): number {
    const [from, readTo] = [this.#from, this.#readTo]
    try {
      return this.read().records
    } catch {
      return 0
    } finally {
      this.#from = from
      this.#readTo = readTo
    }
  }
}
