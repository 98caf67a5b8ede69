/**
 * ChangeOver: replaces the running isolate by another, between two batches, with all of its state.
 *
 *   CO1. One writer at a time: the isolate that gives up its state writes nothing more, unless it is put back.
 *   CO2. If the new isolate fails, the old one is put back as if nothing had happened. If that is impossible too (a
 *        thread may still be working), the error is `LostInChangeOver`, and nothing may run any more.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { Isolate } from '../isolate/index.ts'

/** An isolate and its assignment. */
export interface Running {
  readonly isolate: Isolate
  readonly assignment: FunctionAssignment
}

export class LostInChangeOver extends Error {}

/** @throws Why `to` has ended, with `from` back in its place; or `LostInChangeOver`. */
export async function changeOver(from: Isolate, to: Isolate): Promise<void> {
  const { state } = from
  try {
    if (to !== from.holder) await to.takeOver(from.holder)
  } catch (error) {
    if (from.state === state) {
      // `to` has had nothing of it: what that one has is empty.
      const { holder } = from
      if (!from.isEnded && (!holder.isEnded || (await holder.ended()))) throw error
      throw new LostInChangeOver((error as Error).message, { cause: error })
    }
    try {
      await from.takeOver(to.holder)
    } catch (lost) {
      throw new LostInChangeOver((lost as Error).message, { cause: error })
    }
    throw error
  }
}
