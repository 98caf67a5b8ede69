/**
 * Directing: moves each slot towards what it should be: one that should not run, or not this version, is swapped or
 * drained.
 *
 *   DI1. A superfluous instance keeps working until others have its partitions, but no longer than `retireMs`, and not if
 *        nobody could take them.
 *   DI2. A version that can take over in place does, also if it was deployed while nobody led; only otherwise the
 *        instance is drained.
 *   DI3. A new version starts without the failures of the one before.
 * @module
 */
import { awaitedOf, isAtWork } from '../partitions/ownership.ts'
import { hasFailedForGood, swap } from '../rollout/rollout.ts'
import type { Draft } from '../state/draft.ts'
import { isUnwanted } from '../state/in-force.ts'
import { isActive, isWanted } from '../state/roles.ts'
import type { FunctionState, Seat, Slot } from '../state/state.ts'
import { drain } from '../state/stopping.ts'
import { timings } from '../state/timings.ts'

/** Lets a slot wait for a place again once its back-off is over. */
export function endBackoff(draft: Draft, fn: FunctionState, slot: Slot): void {
  if (slot.phase !== 'backingOff' || !draft.isDue(fn.name, slot.untilMs ?? 0)) return
  delete slot.untilMs
  draft.enter(slot, 'waiting')
}

/** Drains or swaps an instance that should not run, or not this version. */
export function direct(draft: Draft, fn: FunctionState, slot: Slot): void {
  const version = draft.versionAt(fn.name, slot.index)
  const { seat } = slot
  if (seat === undefined) {
    if (version !== undefined && slot.restartsVersion !== version.version)
      startAfresh(draft, slot, version.version)
    return
  }
  if (slot.phase === 'draining') return
  const why = whyChange(draft, fn, slot, seat)
  if (why === undefined) return
  if (slot.command === undefined && version !== undefined && isActive(slot)) {
    if (swap(draft, fn, slot, version)) return
  }
  drain(draft, slot, draft.taskOf(seat), why)
}

/** Why an instance has to end, or to run another version; undefined if it is as it should be. */
function whyChange(draft: Draft, fn: FunctionState, slot: Slot, seat: Seat): string | undefined {
  const version = draft.versionAt(fn.name, slot.index)
  if (isWanted(slot)) delete slot.retiringSinceMs
  // If the version's document has not been read yet, the instance stays, unless the function was deleted.
  if (version === undefined && isUnwanted(draft.state.wanted.functions.get(fn.name)))
    return 'the function is deleted'
  if (slot.command !== undefined)
    return slot.command.kind === 'restart' ? 'it was asked to restart' : 'it was asked to end'
  if (version === undefined) return undefined
  if (!isWanted(slot) && mayRetire(draft, fn, slot))
    return slot.role?.kind === 'replaced' ? 'another one has taken its place' : 'fewer instances are wanted'
  if (seat.document.version !== version.version)
    return `version ${version.version} replaces ${seat.document.version}`
  if (hasFailedForGood(draft, slot, version))
    return `version ${version.version} could not take over: ${slot.failed?.reason}`
  return undefined
}

/** Whether a superfluous instance may end (DI1). */
function mayRetire(draft: Draft, fn: FunctionState, slot: Slot): boolean {
  const { seat } = slot
  if (seat === undefined || (seat.document.shares.length === 0 && awaitedOf(seat).length === 0)) return true
  const others = fn.slots.filter(isActive)
  // An instance that this leader has not heard yet may still be able to take them.
  const isUnheard = ({ seat }: Slot): boolean => seat !== undefined && draft.taskOf(seat).beat === undefined
  if (!others.some((other) => isAtWork(draft, fn, other) || isUnheard(other))) return true
  slot.retiringSinceMs ??= draft.nowMs
  return draft.isDue(fn.name, slot.retiringSinceMs + timings.retireMs)
}

function startAfresh(draft: Draft, slot: Slot, version: number): void {
  slot.restarts = 0 // DI3
  slot.restartsVersion = version
  delete slot.untilMs
  if (slot.phase !== 'waiting') draft.enter(slot, 'waiting')
}
