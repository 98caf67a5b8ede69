/**
 * mustFind: looks for a planted bug in random histories. It must be found as what it is: other violations are counted and passed over.
 * @module
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { Violation } from '../simulation/violation.ts'

export interface Search<T> {
  readonly histories: fc.Arbitrary<T>
  /** What is wrong with a history. */
  readonly faultsOf: (history: T) => Promise<ReadonlySet<string>>
  /** In how many histories. */
  readonly runs: number
  readonly seed: number
}

/** @param kind What the planted bug must be found as. */
export async function mustFind<T>(
  t: TestContext,
  kind: string,
  { histories, faultsOf, runs, seed }: Search<T>,
): Promise<void> {
  const others = new Map<string, number>()
  const found = await fc.check(
    fc.asyncProperty(histories, async (history) => {
      const faults = await faultsOf(history)
      assert.ok(!faults.has(kind))
      for (const other of faults) others.set(other, (others.get(other) ?? 0) + 1)
    }),
    { numRuns: runs, endOnFailure: true, seed },
  )
  const seen = [...others].map(([other, count]) => `${other} ${count}`).join(', ') || 'nothing else'
  assert.ok(found.failed, `not found as ${kind} in ${found.numRuns} histories; ${seen}`)
  t.diagnostic(`found in history ${found.numRuns}; before: ${seen}`)
}

/** @returns The invariant that a history violates, if any; of any other error, its message. */
export async function violationOf(live: Promise<unknown>): Promise<ReadonlySet<string>> {
  try {
    await live
    return new Set()
  } catch (error) {
    return new Set([error instanceof Violation ? error.invariant : (error as Error).message])
  }
}
