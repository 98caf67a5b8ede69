/**
 * Want: instances that should run, and where they may.
 * @module
 */
import type { Constraint } from '../../../sdk/manifest/constraint.ts'

/** An agent, as far as placement needs to know it. */
export interface Place {
  readonly agentId: string
  readonly hostname: string
  readonly attributes: Readonly<Record<string, string>>
}

/** Instances of one function in a request. */
export interface Want {
  readonly function: string
  readonly count: number
  readonly constraints: readonly Constraint[]
  /** The functions with which it exchanges records. */
  readonly peers: readonly string[]
}
