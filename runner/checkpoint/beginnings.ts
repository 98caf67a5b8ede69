/**
 * Beginnings: the slots that never had state, and how the store learns that one has its first.
 *
 *   FS1. Nothing is acknowledged after the batch in which a slot got its first state, until the store knows that it began, or
 *        has not answered. So if the owner is killed before the first checkpoint, what is lost is counted. A stopped one counts
 *        it by itself (LV3 of runner/instance/leaving.ts), and one that hands over keeps the share until the store knows.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import type { Checkpoint } from '../../infra/checkpoints/index.ts'
import type { CodedError } from '../../sdk/errors.ts'
import type { StateStore } from '../isolate/index.ts'
import type { Slot } from './slot.ts'

export interface BeginningsOptions {
  readonly warn: (message: string) => void
  readonly onSuperseded: (error: Error) => void
}

export class Beginnings {
  readonly #options: BeginningsOptions
  readonly #blank = new Set<Slot>()
  readonly #telling = new Set<Slot>()

  constructor(options: BeginningsOptions) {
    this.#options = options
  }

  /** A slot was claimed. */
  add(slot: Slot): void {
    if (slot.current === undefined) this.#blank.add(slot)
  }

  /** A slot is stored by a checkpoint, or was given away. */
  forget(slot: Slot): void {
    this.#blank.delete(slot)
    this.#telling.delete(slot)
  }

  /**
   * After a batch: tells the store which slots have their first state.
   * @param made What to store of a slot: a checkpoint without pages.
   * @returns Whether the store knows, or has not answered; undefined: there is nothing to tell.
   */
  tell(
    state: Pick<StateStore, 'hasArena'>,
    made: (slot: Slot) => Omit<Checkpoint, 'segments'>,
  ): Promise<boolean> | undefined {
    if (this.#blank.size === 0) return undefined
    const told: Promise<boolean>[] = []
    for (const slot of this.#blank)
      if (state.hasArena(slot.partition)) told.push(this.#tell(slot, made(slot)))
    return told.length === 0 ? undefined : Promise.all(told).then((known) => known.every(Boolean))
  }

  async #tell(slot: Slot, made: Omit<Checkpoint, 'segments'>): Promise<boolean> {
    const { onSuperseded, warn } = this.#options
    this.#blank.delete(slot)
    this.#telling.add(slot)
    try {
      await slot.begin(made)
      this.#telling.delete(slot)
      return true
    } catch (error) {
      const { code, message } = error as CodedError
      const what = `a loss of the first state of partition ${slot.name} would not be counted`
      if (!this.#telling.delete(slot)) return false // it was given away, or a checkpoint follows
      if (code === 'ERR_CHECKPOINT_SUPERSEDED') onSuperseded(error as Error)
      else warn(`${what} before its first checkpoint: ${message}`)
      return false
    }
  }
}
