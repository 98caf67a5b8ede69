/**
 * Sums of producers' accounts.
 * @module
 */
import { addCounts, addTotals } from '../../control/counts.ts'
import type { OutputLedger } from '../../control/messages/accounts.ts'

/** Adds the records of two accounts of the same (stream, consumer). */
export function addLedgers(a: OutputLedger | undefined, b: OutputLedger): OutputLedger {
  if (a === undefined) return b
  return {
    ...addTotals(a, b),
    ...(a.parts || b.parts ? { parts: (a.parts ?? 0) + (b.parts ?? 0) } : {}),
    ...(a.own || b.own ? { own: addCounts(a.own ?? {}, b.own ?? {}) } : {}),
    ...(a.earlier || b.earlier ? { earlier: addCounts(a.earlier ?? {}, b.earlier ?? {}) } : {}),
    ...spilledOf(a, b),
    ...lagOf(a, b),
  }
}

/** The longer one. */
function lagOf({ lagMs: a }: OutputLedger, { lagMs: b }: OutputLedger): Pick<OutputLedger, 'lagMs'> {
  return a === undefined && b === undefined ? {} : { lagMs: Math.max(a ?? 0, b ?? 0) }
}

function spilledOf(a: OutputLedger, b: OutputLedger): Pick<OutputLedger, 'spilled' | 'spilledBytes'> {
  if (a.spilled === undefined && b.spilled === undefined) return {}
  return {
    spilled: (a.spilled ?? 0) + (b.spilled ?? 0),
    spilledBytes: (a.spilledBytes ?? 0) + (b.spilledBytes ?? 0),
  }
}
