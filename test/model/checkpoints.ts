/**
 * ModelCheckpoints: the stored state of each share, and who may write it: what runner/checkpoint does, without pages.
 *
 *   K1. A write follows the one that the same owner last read or wrote; otherwise another owner has taken the slot.
 *   K2. State stored at a later epoch than the owner's, or than that of the owner that gave it the share, is not
 *       restored.
 * @module
 */
import type { StatePositions } from '../../infra/bus/index.ts'

/** By producer: the number last processed. */
export type Records = readonly (readonly [number, number])[]

/** State at one moment, and what it contains. */
export interface Cut {
  readonly records: Records
  /** Undefined: there never was state. */
  readonly contained: StatePositions | undefined
}

export interface Stored extends Cut {
  /** Names the checkpoint: what an image lies on. */
  readonly number: number
  /** Of the last claim. */
  readonly epoch: number
  readonly revision: number
}

/** What goes with a share. */
export interface ShareState extends Cut {
  /** The checkpoint that it lies on. */
  readonly base?: number
  /** Of the giver's claim. */
  readonly epoch: number
}

const noState: Cut = { records: [], contained: undefined }

export class ModelCheckpoints {
  readonly #slots = new Map<number, Stored>()
  #count = 0

  read(share: number): Stored | undefined {
    return this.#slots.get(share)
  }

  /** @returns Undefined: another owner has written since (K1). */
  write(share: number, epoch: number, revision: number, cut?: Cut): Stored | undefined {
    const before = this.#slots.get(share)
    if ((before?.revision ?? 0) !== revision) return undefined
    const made =
      cut === undefined && before !== undefined ? before : { ...(cut ?? noState), number: ++this.#count }
    const { records, contained, number } = made
    const stored = { records, contained, number, epoch, revision: ++this.#count }
    this.#slots.set(share, stored)
    return stored
  }
}
