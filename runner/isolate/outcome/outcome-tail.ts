/**
 * OutcomeTail: the part of the current call's outcome that is published and not read yet.
 * @module
 */
import { takeMemory } from '../../../infra/bus/index.ts'
import { type Outcome, OutcomeReader, type OutputShape } from '../../../sdk/runtime/index.ts'
import { giveBackLog, type Regions } from '../memory/regions.ts'

export class OutcomeTail {
  readonly #name: string
  readonly #regions: Regions
  #table: string
  #reader: OutcomeReader
  #readTo = 0
  #log: Uint8Array<ArrayBuffer> = new Uint8Array(0)

  /** @param table The output streams, as the isolate counts them. */
  constructor(name: string, regions: Regions, table: readonly OutputShape[]) {
    this.#name = name
    this.#regions = regions
    this.#table = JSON.stringify(table)
    this.#reader = new OutcomeReader(table, takeMemory)
  }

  /** Sets other output streams. @returns What to tell the isolate; undefined if nothing changed. */
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

  /** @throws {Error} If the log cannot be the work of our runtime. */
  read(): Outcome {
    const [from, to] = [this.#readTo, this.#regions.published]
    if (to < from) throw new Error(`Cannot read what ${this.#name} left: it ends at ${to}, before ${from}`)
    this.#readTo = to
    const log = this.#regions.copyOutcome(from, to)
    this.#log = log
    return this.#reader.survey(log, () => giveBackLog(log))
  }

  /** The log last read, valid until its outputs are requested. */
  get log(): Uint8Array<ArrayBuffer> {
    return this.#log
  }

  /** Records that were published and not yet read. */
  recordsUnread(): number {
    const readTo = this.#readTo
    try {
      return this.read().records
    } catch {
      return 0
    } finally {
      this.#readTo = readTo
    }
  }
}
