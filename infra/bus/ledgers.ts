/**
 * Sums of producers' accounts.
 * @module
 */
import type { OutputLedger } from '../control/messages.ts'

/** Adds the records of two accounts of the same (stream, consumer). */
export function addLedgers(a: OutputLedger | undefined, b: OutputLedger): OutputLedger {
  if (a === undefined) return b
  return {
    stream: a.stream,
    consumer: a.consumer,
    sent: a.sent + b.sent,
    acked: a.acked + b.acked,
    dropped: addCounts(a.dropped, b.dropped),
    unaccounted: a.unaccounted + b.unaccounted,
    ...spilledOf(a, b),
  }
}

function spilledOf(a: OutputLedger, b: OutputLedger): Pick<OutputLedger, 'spilled' | 'spilledBytes'> {
  if (a.spilled === undefined && b.spilled === undefined) return {}
  return {
    spilled: (a.spilled ?? 0) + (b.spilled ?? 0),
    spilledBytes: (a.spilledBytes ?? 0) + (b.spilledBytes ?? 0),
  }
}

/** Adds counts by reason. */
export function addCounts(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const sum: Record<string, number> = { ...a }
  for (const [reason, records] of Object.entries(b)) sum[reason] = (sum[reason] ?? 0) + records
  return sum
}
