/**
 * Housekeeping: what is done to state between callbacks: which format it is used in, and at a batch's end the removal of
 * what has expired and the migration of what nobody touches, some chains at a time, each in a commit of its own.
 * Design: docs/design/0007-state-outlives-code.md, 0032-migrate.md
 * @module
 */
import type { FunctionDefinition, StateFormat } from '../function.ts'
import { firstFormat } from './arena/index.ts'
import type { KeyedState } from './keyed-state.ts'
import { migrationOf } from './migration.ts'
import type { OutcomeWriter } from './outcome-writer.ts'
import { wordsOf } from './report.ts'
import type { Seam } from './seam.ts'

/** How many chains of the index of each partition are looked at for what has expired: ≈ 0.1 ms, and 1 ms if nothing waits. */
const chainsSwept = 512
const chainsSweptIdle = 8192
/** The same of one partition, for what is in an old format: each may be a call of the author's. */
const chainsTidied = 128
const chainsTidiedIdle = 2048

export interface HousekeepingOptions {
  readonly definition: FunctionDefinition
  readonly format?: StateFormat | undefined
  readonly seam: Seam
  readonly writer: OutcomeWriter
}

export class Housekeeping {
  readonly #seam: Seam
  readonly #writer: OutcomeWriter
  readonly #migrate: ReturnType<typeof migrationOf>
  #format: StateFormat

  constructor({ definition, format, seam, writer }: HousekeepingOptions) {
    this.#seam = seam
    this.#writer = writer
    this.#migrate = migrationOf(definition, seam)
    this.#format = format ?? { own: firstFormat, kept: firstFormat }
  }

  /** State that has just been opened. */
  take(state: KeyedState): void {
    state.useFormat({ ...this.#format, alone: false, migrate: this.#migrate })
  }

  /** Between two batches: no other version has anything in this state any more, but those that `kept` says. */
  settle(states: readonly (KeyedState | undefined)[], kept: number): void {
    this.#format = { ...this.#format, kept }
    for (const state of states) state?.useFormat({ ...this.#format, alone: true, migrate: this.#migrate })
  }

  sweep(states: readonly (KeyedState | undefined)[], isIdle: boolean): void {
    let hasTidied = false
    for (const state of states) {
      if (state === undefined) continue
      if (state.nextExpiryMs <= this.#seam.nowMs && state.expire(isIdle ? chainsSweptIdle : chainsSwept) > 0)
        this.#commit(state)
      if (hasTidied || !state.isUntidy) continue
      hasTidied = true
      this.#tidy(state, isIdle ? chainsTidiedIdle : chainsTidied)
    }
  }

  #tidy(state: KeyedState, chains: number): void {
    try {
      if (state.tidy(chains)) this.#commit(state)
    } catch {
      state.rollback() // there is no room for it now
    }
    const trouble = state.takeTrouble()
    if (trouble !== undefined)
      this.#seam.print(
        'error',
        `An entry of state stays in its old format, and others may: ${wordsOf(trouble)}`,
      )
  }

  #commit(state: KeyedState): void {
    state.commit()
    this.#writer.swept()
  }
}
