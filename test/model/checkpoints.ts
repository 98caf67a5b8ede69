/**
 * ModelCheckpoints: the stored state of each share, and who may write it: what runner/checkpoint does, without pages.
 *
 *   K1. A write follows the one that the same owner last read or wrote; otherwise another owner has taken the slot.
 *   K2. State stored at a later epoch than the owner's, or than that of the owner that gave it the share, is not
 *       restored.
 * @module
 */

/** By producer: the number last processed. */
export type Records = readonly (readonly [number, number])[]

export interface Stored {
  readonly records: Records
  /** Names the checkpoint: what an image lies on. */
  readonly number: number
  /** Of the last claim. */
  readonly epoch: number
  readonly revision: number
}

/** What goes with a share. */
export interface ShareState {
  readonly records: Records
  /** The checkpoint that it lies on. */
  readonly base?: number
  /** Of the giver's claim. */
  readonly epoch: number
}

export class ModelCheckpoints {
  readonly #slots = new Map<number, Stored>()
  #count = 0

  read(share: number): Stored | undefined {
    return this.#slots.get(share)
  }

  /** @returns Undefined: another owner has written since (K1). */
  write(share: number, epoch: number, revision: number, records?: Records): Stored | undefined {
    const before = this.#slots.get(share)
    if ((before?.revision ?? 0) !== revision) return undefined
    const made = records === undefined ? before : { records, number: ++this.#count }
    const { number, records: kept } = made ?? { records: [], number: ++this.#count }
    const stored = { records: kept, number, epoch, revision: ++this.#count }
    this.#slots.set(share, stored)
    return stored
  }
}
