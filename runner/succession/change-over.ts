/**
 * ChangeOver: another isolate takes the place of the one at work, between two batches, with all that its state is.
 *
 *   CO1. One writer at a time: the one that lets go writes nothing from then on, unless it is put back.
 *   CO2. Should the new one not survive it, the old one is back as if nothing had happened; if that cannot be had either
 *        (nobody knows whether a thread is still at work), the error is `LostInChangeOver`, and nothing may run any more.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { FunctionAssignment } from '../../infra/control/messages.ts'
import type { Isolate } from '../isolate/index.ts'

/** An isolate and what it is an isolate of. */
export interface Running {
  readonly isolate: Isolate
  readonly assignment: FunctionAssignment
}

export class LostInChangeOver extends Error {}

/** @throws Why `to` has ended, with `from` back in its place; or `LostInChangeOver`. */
export async function changeOver(from: Isolate, to: Isolate): Promise<void> {
  try {
    if (to !== from.holder) await to.takeOver(from.holder)
  } catch (error) {
    try {
      await from.takeOver(to.holder)
    } catch (lost) {
      throw new LostInChangeOver((lost as Error).message, { cause: error })
    }
    throw error
  }
}
