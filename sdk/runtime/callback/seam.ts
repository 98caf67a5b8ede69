/**
 * Seam: the one object that provides everything a function can observe besides its records and state (I6).
 *
 * Whoever provides it can record a run and repeat it: nothing else in this folder reads a clock, a source of random
 * numbers, or the configuration.
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
  /** The running version that this one takes over from, if any. */
  readonly replaces?: number | undefined
  /** The contents of an asset. @throws {CodedError} ERR_ASSET_MISSING */
  asset(name: string): Asset
  /**
   * The platform's time, milliseconds since 1970: set at the start of a batch, and whenever a pending callback
   * continues.
   */
  nowMs: number
  /** Fills with random bytes. */
  fillRandom(bytes: Uint8Array): void
  /** Accepts a line of the console. */
  print(level: LogLevel, line: string): void
}
