/**
 * KnownKeys: which keys the object at a place of a schema may have, so that the meant one can be named where an unknown
 * one stands.
 * @module
 */
import type { z } from 'zod'

/** The keys that the object at a path may have, in any of its forms. */
export type KnownKeys = (path: readonly PropertyKey[]) => readonly string[]

export function keysOf(schema: z.core.$ZodType): KnownKeys {
  return (path) => keysAt(schema, path)
}

function keysAt(type: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const { def } = (type as z.core.$ZodTypes)._zod
  const [first, ...rest] = path
  switch (def.type) {
    case 'object': {
      if (first === undefined) return Object.keys(def.shape)
      const next = def.shape[String(first)]
      return next === undefined ? [] : keysAt(next, rest)
    }
    case 'record':
      return first === undefined ? [] : keysAt(def.valueType, rest)
    case 'array':
      return first === undefined ? [] : keysAt(def.element, rest)
    case 'union':
      return def.options.flatMap((option) => keysAt(option, path))
    case 'optional':
    case 'default':
    case 'prefault':
      return keysAt(def.innerType, path)
    default:
      return []
  }
}
