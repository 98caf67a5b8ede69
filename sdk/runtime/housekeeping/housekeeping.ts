/**
 * Housekeeping: maintains state between callbacks. It sets which format is used, and at the end of a batch removes
 * expired entries and migrates entries that nobody has read: some chains at a time, each in a commit of its own.
 *
 *   HK1. Tidying proceeds in units: one migrated entry, or some chains without any. It ends between two units if the
 *        host asks. So a call is longer by at most the host's time slice and one `migrate`. If a batch leaves no time
 *        for it, the next batch is only for tidying.
 *   HK2. What has expired is removed as fast as new entries come that expire (sweeper.ts, SW1), whatever the size of a batch. Beyond
 *        that all partitions together get some chains, one after another.
 *   HK3. The number of units is written into the outcome log, so that a replay does as many (I6).
 * Design: docs/design/0007-state-outlives-code.md, 0032-migrate.md
 * @module
 */
import type { FunctionDefinition, StateFormat } from '../../function.ts'
import { keeping } from '../../versions/state-format.ts'
import { firstFormat } from '../arena/index.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import type { Seam } from '../callback/seam.ts'
import type { OutcomeWriter } from '../outcome/outcome-writer.ts'
import { wordsOf } from '../outcome/report.ts'
import type { ControlWords } from '../shared/control-words.ts'
import { control } from '../shared/layout.ts'
import { migrationOf } from './migration.ts'

/**
 * How many chains are checked for expired entries besides those that new entries owe: one for each record, at least
 * ≈ 25 µs, and ≈ 1 ms if nothing else waits.
 */
const [chainsLeast, chainsIdle] = [256, 8192]
/** Chains that are checked in one commit, and the most commits, for which the log has room (`sweptBytesMax`). */
const [chainsAtOnce, commitsMost] = [1024, 4096]
/**
 * The tidying effort for each partition (`KeyedState.tidy`): each entry may be a call of the author's code. It grows
 * with the calls of the batch, so that tidying ends however large the batches are: an entry for every four calls,
 * ≈ 1 µs a call; ≈ 4 ms if nothing else waits. The most is what the log has room for (`sweptBytesMax`).
 */
const [effortLeast, effortOfCall, effortMost, effortIdle] = [1024, 4, 65_536, 16_384]
/** The effort of a unit (HK1), which is a commit. */
const effortAtOnce = 16

export interface HousekeepingOptions {
  readonly definition: FunctionDefinition
  readonly format?: StateFormat | undefined
  readonly seam: Seam
  readonly writer: OutcomeWriter
  readonly controlWords: ControlWords
}

export class Housekeeping {
  readonly #seam: Seam
  readonly #writer: OutcomeWriter
  readonly #controlWords: ControlWords
  readonly #migrate: ReturnType<typeof migrationOf>
  #format: StateFormat
  /** Units in this sweep, and how many of them are in the log. */
  #units = 0
  #unitsTold = 0
  /** The partition that gets the chains that nobody owes (HK2). */
  #turn = 0
  /** There was no time for any unit (HK1). */
  isOwed = false

  constructor({ definition, format, seam, writer, controlWords }: HousekeepingOptions) {
    this.#seam = seam
    this.#writer = writer
    this.#controlWords = controlWords
    this.#migrate = migrationOf(definition, seam)
    this.#format = format ?? { own: firstFormat, kept: firstFormat }
  }

  /** Notes state that has just been opened. */
  take(state: KeyedState): void {
    state.useFormat({ ...this.#format, alone: false, migrate: this.#migrate })
  }

  /** Between two batches: sets which other versions may still have entries in this state. */
  settle(states: readonly (KeyedState | undefined)[], kept: number): void {
    this.#format = keeping(this.#format, kept)
    for (const state of states) state?.useFormat({ ...this.#format, alone: true, migrate: this.#migrate })
  }

  /**
   * @param calls How many records and timers the batch has finished; undefined: the batch is only for housekeeping.
   * @param isAlone Nothing was done before in this call, so at least one unit is done, however late it is.
   */
  sweep(states: readonly (KeyedState | undefined)[], calls: number | undefined, isAlone: boolean): void {
    this.#units = this.#unitsTold = 0
    this.isOwed = false
    this.#expire(states, calls === undefined ? chainsIdle : Math.max(chainsLeast, calls))
    const ofCalls = Math.max(effortLeast, Math.min(effortMost, (calls ?? 0) * effortOfCall))
    for (const state of states) {
      if (!state?.leftovers?.isUntidy) continue
      this.#tidy(state, calls === undefined ? effortIdle : ofCalls, isAlone)
      break
    }
  }

  #expire(states: readonly (KeyedState | undefined)[], chains: number): void {
    const { nowMs } = this.#seam
    let commits = 0
    const from = this.#turn
    for (let i = 0; i < states.length; i++) {
      const at = (from + i) % states.length
      const state = states[at]
      if (state === undefined || state.nextExpiryMs > nowMs) continue
      let left = state.chainsOwed + chains
      for (; left > 0 && state.nextExpiryMs <= nowMs && commits < commitsMost; left -= chainsAtOnce)
        if (state.expire(Math.min(left, chainsAtOnce)) > 0) {
          this.#commit(state)
          commits++
        }
      if (chains > 0) this.#turn = at + 1
      chains = 0
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
    const most = this.#controlWords.word(control.tidiedMost)
    return most > 0 ? this.#units >= most - 1 : this.#controlWords.word(control.yield) !== 0
  }
}
