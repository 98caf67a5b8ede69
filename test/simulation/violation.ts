/**
 * Violation: an invariant that does not hold.
 * @module
 */
export class Violation extends Error {
  /** Which; the same one is looked for when a run is shrunk. */
  readonly invariant: string

  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`)
    this.invariant = invariant
  }
}

export function must(holds: boolean, invariant: string, what: () => string): void {
  if (!holds) throw new Violation(invariant, what())
}
