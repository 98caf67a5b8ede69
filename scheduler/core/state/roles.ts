/**
 * Roles: what the last plan wants of a slot. Only settleSlots decides it (slots.ts); all else asks here.
 * @module
 */
import type { FunctionState, Slot } from './state.ts'

/** Whether a slot has shares by this plan, or should get some. */
export function isActive({ role }: Readonly<Slot>): boolean {
  return role?.kind === 'active' || role?.kind === 'held'
}

/** Whether its instance should run. */
export function isWanted(slot: Readonly<Slot>): boolean {
  return isActive(slot) || slot.role?.kind === 'replacement'
}

/** Whether it is about to be removed; not known before the first plan. */
export function isRetiring(slot: Readonly<Slot>): boolean {
  if (slot.role === undefined || isWanted(slot)) return false
  return slot.seat === undefined || slot.phase === 'draining'
}

/** The version that its instance keeps until others have its shares (beside.ts); undefined: it has the wanted one. */
export function keptVersion({ role }: Readonly<Slot>): number | undefined {
  return role?.kind === 'held' || role?.kind === 'replaced' ? role.version : undefined
}

/** The indexes of the instances that have the function's shares, or should get them, sorted. */
export function activeOf({ slots }: Readonly<FunctionState>): readonly number[] {
  return slots.filter(isActive).map(({ index }) => index)
}
