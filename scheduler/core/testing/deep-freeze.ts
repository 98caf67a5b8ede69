/**
 * DeepFreeze: for the simulation. Test equipment.
 * @module
 */
import { ImmutableMap } from '../state/immutable-map.ts'

/**
 * Freezes a value, so that a step that changes its input state fails loudly. Plain objects only: the core copies
 * maps.
 */
export function deepFreeze<T>(value: T): T {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return value
  Object.freeze(value)
  const isKept = value instanceof Map || value instanceof Set || value instanceof ImmutableMap
  for (const inner of isKept ? value.values() : Object.values(value)) {
    deepFreeze(inner)
  }
  return value
}
