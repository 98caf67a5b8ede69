/**
 * Housekeeping: what is done to state between callbacks: which format it is used in, and at a batch's end the removal of
 * what has expired and the migration of what nobody touches, some chains at a time, each in a commit of its own.
 *
 *   HK1. Tidying goes in units of one entry that is brought over, or some chains without any. Between two it ends if the host asks: so no
 *        call is longer for it than the host's slice and one `migrate`. If a batch has left it no time, the next one is for it alone.
 *   HK2. How many units there were is written into the outcome log, so that a replay has as many (I6).
 * Design: docs/design/0007-state-outlives-code.md, 0032-migrate.md
 * @module
 */
import type { FunctionDefinition, StateFormat } from '../../function.ts'
import { firstFormat } from '../arena/index.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import type { Seam } from '../callback/seam.ts'
import type { OutcomeWriter } from '../outcome/outcome-writer.ts'
import { wordsOf } from '../outcome/report.ts'
import type { Board } from '../shared/board.ts'
import { control } from '../shared/layout.ts'
import { migrationOf } from './migration.ts'

/** How many chains of the index of each partition are looked at for what has expired: ≈ 0.1 ms, and 1 ms if nothing waits. */
const chainsSwept = 512
const chainsSweptIdle = 8192
/**
 * Of one partition, for what is in an old format (`KeyedState.tidy`): each entry may be a call of the author's. As much as records come,
 * so that tidying ends however large their batches are: an entry for each four that were done, ≈ 1 µs a record; and ≈ 4 ms if nothing
 * waits. The most is what the log has room for (`sweptBytesMax`).
 */
const [effortLeast, effortOfRecord, effortMost, effortIdle] = [1024, 4, 65_536, 16_384]
/** Of a unit (HK1), which is a commit. */
const effortAtOnce = 16

export interface HousekeepingOptions {
  readonly definition: FunctionDefinition
  readonly format?: StateFormat | undefined
  readonly seam: Seam
  readonly writer: OutcomeWriter
  readonly board: Board
}

export class Housekeeping {
  readonly #seam: Seam
  readonly #writer: OutcomeWriter
  readonly #board: Board
  readonly #migrate: ReturnType<typeof migrationOf>
  #format: StateFormat
  /** Tidied in this sweep, and how many of those the log has. */
  #units = 0
  #unitsTold = 0
  /** There was no time for any (HK1). */
  isOwed = false

  constructor({ definition, format, seam, writer, board }: HousekeepingOptions) {
    this.#seam = seam
    this.#writer = writer
    this.#board = board
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

  /**
   * @param records How many the batch has done; undefined: it is for the sake of this.
   * @param isAlone Nothing was done before it in this call: it gets on, however late it is.
   */
  sweep(states: readonly (KeyedState | undefined)[], records: number | undefined, isAlone: boolean): void {
    const ofRecords = Math.max(effortLeast, Math.min(effortMost, (records ?? 0) * effortOfRecord))
    let effort = records === undefined ? effortIdle : ofRecords
    this.#units = this.#unitsTold = 0
    this.isOwed = false
    for (const state of states) {
      if (state === undefined) continue
      const chains = records === undefined ? chainsSweptIdle : chainsSwept
      if (state.nextExpiryMs <= this.#seam.nowMs && state.expire(chains) > 0) this.#commit(state)
      if (effort <= 0 || !state.leftovers?.isUntidy) continue
      this.#tidy(state, effort, isAlone)
      effort = 0
    }
  }

  #tidy(state: KeyedState, effort: number, isAlone: boolean): void {
    this.isOwed = !isAlone && this.#isEnough
    try {
      for (let left = effort; left > 0 && state.leftovers?.isUntidy; left -= effortAtOnce) {
        if (this.#isEnough && !(isAlone && this.#units === 0)) break
        this.#units++
        if (state.tidy(effortAtOnce)) this.#commit(state)
      }
    } catch {
      state.rollback() // there is no room for it now
    }
    if (this.#units > this.#unitsTold) this.#tell()
    const trouble = state.takeTrouble()
    if (trouble !== undefined)
      this.#seam.print(
        'error',
        `An entry of state stays in its old format, and others may: ${wordsOf(trouble)}`,
      )
  }

  #commit(state: KeyedState): void {
    state.commit()
    this.#tell()
  }

  #tell(): void {
    this.#writer.swept(this.#units - this.#unitsTold)
    this.#unitsTold = this.#units
  }

  get #isEnough(): boolean {
    const most = this.#board.word(control.tidiedMost)
    return most > 0 ? this.#units >= most - 1 : this.#board.word(control.yield) !== 0
  }
}
