/**
 * DeepFreeze: for the simulation. Test equipment.
 * @module
 */
import { Shelves } from '../state/shelves.ts'

/** So that a step that changes the state which came in fails loudly. Plain objects only: maps are copied by the core. */
export function deepFreeze<T>(value: T): T {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return value
  Object.freeze(value)
  const isKept = value instanceof Map || value instanceof Set || value instanceof Shelves
  for (const inner of isKept ? value.values() : Object.values(value)) {
    deepFreeze(inner)
  }
  return value
}
