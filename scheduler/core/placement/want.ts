/**
 * Want: instances that are to run somewhere, and where that may be.
 * @module
 */
import type { Constraint } from '../../../sdk/manifest/constraint.ts'

/** An agent, as far as it matters where something runs. */
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
  /** Functions that it exchanges records with. */
  readonly peers: readonly string[]
}
