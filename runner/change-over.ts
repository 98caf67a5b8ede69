/**
 * ChangeOver: another isolate takes the place of the one at work, between two batches, with all that its state is.
 *
 *   CO1. One writer at a time: the one that lets go writes nothing from then on, unless it is put back.
 *   CO2. Should the new one not survive it, the old one is back as if nothing had happened; if that cannot be had either
 *        (nobody knows whether a thread is still at work), the error is `LostInChangeOver`, and nothing may run any more.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { FunctionAssignment } from '../infra/control/messages.ts'
import type { Instance } from './isolate/index.ts'

/** An isolate and what it is an isolate of. */
export interface Running {
  readonly isolate: Instance
  readonly assignment: FunctionAssignment
}

export class LostInChangeOver extends Error {}

/** @throws Why `to` has ended, with `from` back in its place; or `LostInChangeOver`. */
export async function changeOver(from: Instance, to: Instance): Promise<void> {
  try {
    await to.takeOver(from)
  } catch (error) {
    try {
      await from.takeOver(to)
    } catch (lost) {
      throw new LostInChangeOver((lost as Error).message, { cause: error })
    }
    throw error
  }
}
