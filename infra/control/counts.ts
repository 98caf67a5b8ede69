/**
 * Counts: counts by reason, and sums of accounts.
 * @module
 */
import type { OutputLedger } from './messages/accounts.ts'

type Counts = Readonly<Record<string, number>>

export function addCounts(a: Counts, b: Counts): Record<string, number> {
  const sum: Record<string, number> = { ...a }
  for (const [reason, records] of Object.entries(b)) sum[reason] = (sum[reason] ?? 0) + records
  return sum
}

export function oneMore(counts: Counts, reason: string, records = 1): Record<string, number> {
  return { ...counts, [reason]: (counts[reason] ?? 0) + records }
}

export function sumOfCounts(counts: Counts): number {
  return Object.values(counts).reduce((sum, records) => sum + records, 0)
}

/** The sum of accounts of the same (stream, consumer). */
export function addTotals(
  a: OutputLedger,
  b: OutputLedger,
): Pick<OutputLedger, 'stream' | 'consumer' | 'sent' | 'acked' | 'dropped' | 'unaccounted' | 'isAtMost'> {
  return {
    stream: a.stream,
    consumer: a.consumer,
    sent: a.sent + b.sent,
    acked: a.acked + b.acked,
    dropped: addCounts(a.dropped, b.dropped),
    unaccounted: a.unaccounted + b.unaccounted,
    ...((a.isAtMost || b.isAtMost) && { isAtMost: true }),
  }
}
