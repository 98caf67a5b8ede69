/**
 * StateFormat: which formats of state were promoted. State that was stored before that does not know.
 * Design: docs/design/0032-migrate.md
 * @module
 */
import type { StateFormat } from '../function.ts'

/** Whether another version's format was promoted. */
export function isPromoted({ kept, before = [] }: Omit<StateFormat, 'own'>, format: number): boolean {
  return format === kept || before.includes(format)
}

/** The format once the version that keeps `kept` has been promoted. */
export function keeping(format: StateFormat, kept: number): StateFormat {
  const { own, kept: last, before = [] } = format
  return kept === last ? format : { own, kept, before: [...before, last] }
}
