/**
 * Want: instances that should run, and where they may.
 * @module
 */
import type { Constraint } from '../../../sdk/manifest/constraint.ts'

/** Instances of one function in a request. */
export interface Want {
  readonly function: string
  readonly count: number
  readonly constraints: readonly Constraint[]
  /** The functions with which it exchanges records. */
  readonly peers: readonly string[]
}
