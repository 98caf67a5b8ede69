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
/**
 * Of one partition, for what is in an old format (`KeyedState.tidy`): each entry may be a call of the author's. As much as records come,
 * so that tidying ends however large their batches are: an entry for each four of them, ≈ 1 µs a record; and ≈ 4 ms if nothing waits.
 */
const [effortLeast, effortOfRecord, effortIdle] = [1024, 4, 16_384]
/** In one commit. */
const effortAtOnce = 1024

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

  /** @param records How many the batch has brought; undefined: it is for the sake of this, since nothing waits. */
  sweep(states: readonly (KeyedState | undefined)[], records: number | undefined): void {
    let effort = records === undefined ? effortIdle : Math.max(effortLeast, records * effortOfRecord)
    for (const state of states) {
      if (state === undefined) continue
      const chains = records === undefined ? chainsSweptIdle : chainsSwept
      if (state.nextExpiryMs <= this.#seam.nowMs && state.expire(chains) > 0) this.#commit(state)
      if (effort <= 0 || !state.leftovers?.isUntidy) continue
      this.#tidy(state, effort)
      effort = 0
    }
  }

  #tidy(state: KeyedState, effort: number): void {
    try {
      for (let left = effort; left > 0 && state.leftovers?.isUntidy; left -= effortAtOnce)
        if (state.tidy(Math.min(left, effortAtOnce))) this.#commit(state)
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
