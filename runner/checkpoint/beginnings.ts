/**
 * Beginnings: the slots that never had state, and how the store learns that one has its first.
 *
 *   FS1. From the batch in which a slot got its first state, nothing of its partition is acknowledged until the store knows that
 *        it began. So if the owner is killed before the first checkpoint, what is lost is counted. A stopped one counts it by
 *        itself (LV3 of runner/instance/leaving.ts), and one that hands over keeps the share until the store knows.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import type { Checkpoint } from '../../infra/checkpoints/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import type { CodedError } from '../../sdk/errors.ts'
import type { StateStore } from '../isolate/index.ts'
import type { Slot } from './slot.ts'

/** Before a store that did not take it is told again. */
const againMs = 1_000

export interface BeginningsOptions {
  readonly clock: Clock
  readonly warn: (message: string) => void
  readonly onSuperseded: (error: Error) => void
}

export class Beginnings {
  readonly #options: BeginningsOptions
  readonly #blank = new Set<Slot>()
  /** Those that have their first state, and what to call when the store knows of it. */
  readonly #telling = new Map<Slot, () => void>()
  #ended = false

  constructor(options: BeginningsOptions) {
    this.#options = options
  }

  /** A slot was claimed. */
  add(slot: Slot): void {
    if (slot.current === undefined) this.#blank.add(slot)
  }

  /** A slot was released. If the store does not know of its state, that was counted. */
  release(slot: Slot): void {
    this.#blank.delete(slot)
    this.#telling.delete(slot)
  }

  /** The store knows of a slot's state. */
  told(slot: Slot): void {
    this.#blank.delete(slot)
    const onTold = this.#telling.get(slot)
    if (onTold === undefined) return
    this.#telling.delete(slot)
    onTold()
  }

  /** Arenas with state of which the store does not know; undefined: there are none. */
  get untold(): ReadonlySet<number> | undefined {
    if (this.#telling.size === 0) return undefined
    return new Set([...this.#telling.keys()].map(({ partition }) => partition))
  }

  /**
   * After a batch: tells the store which slots have their first state.
   * @param made What to store of a slot: a checkpoint without pages. It is made for each attempt: producers that have appeared
   *   meanwhile, and acknowledgements that were under way, belong in it.
   * @param onTold Called for each of them when the store knows.
   */
  tell(
    state: Pick<StateStore, 'hasArena'>,
    made: (slot: Slot) => () => Omit<Checkpoint, 'segments'>,
    onTold: () => void,
  ): void {
    for (const slot of this.#blank) {
      if (!state.hasArena(slot.partition)) continue
      this.#blank.delete(slot)
      this.#telling.set(slot, onTold)
      void this.#tell(slot, made(slot))
    }
  }

  /** The last checkpoint says what there is to say. */
  end(): void {
    this.#ended = true
  }

  /** Until the store has taken it, or a checkpoint. */
  async #tell(slot: Slot, made: () => Omit<Checkpoint, 'segments'>): Promise<void> {
    const { clock, onSuperseded, warn } = this.#options
    for (let hasWarned = false; this.#telling.has(slot) && !this.#ended; await sleep(clock, againMs)) {
      try {
        await slot.begin(made)
        return this.told(slot)
      } catch (error) {
        const { code, message } = error as CodedError
        if (!this.#telling.has(slot)) return
        if (code === 'ERR_CHECKPOINT_SUPERSEDED') return onSuperseded(error as Error)
        if (!hasWarned)
          warn(
            `partition ${slot.name} has got its first state, and its records are not acknowledged until that can be stored: ${message}`,
          )
        hasWarned = true
      }
    }
  }
}
