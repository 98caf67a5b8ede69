/**
 * Seam: the one object through which everything enters that a function can observe beside its records and state (I6).
 *
 * Whoever holds it can record a run and play it again: nothing else in this folder asks a clock, a source of
 * randomness or the configuration.
 * @module
 */
import type { Asset } from '../../function.ts'
import type { LogLevel } from '../shared/layout.ts'

export interface Seam {
  readonly function: string
  readonly version: number
  readonly instance: number
  readonly env: Readonly<Record<string, string>>
  readonly args: readonly string[]
  /** The version that this one takes over from while it runs, if any. */
  readonly replaces?: number | undefined
  /** A file beside the version's bundle. @throws {CodedError} ERR_ASSET_MISSING */
  asset(name: string): Asset
  /** The platform's time, milliseconds since 1970: set at the start of a batch, and at each wake of a pending one. */
  nowMs: number
  /** Fills with random bytes. */
  fillRandom(bytes: Uint8Array): void
  /** Takes a line of the console. */
  print(level: LogLevel, line: string): void
}
