/**
 * Counts by reason, as accounts have them.
 * @module
 */
type Counts = Readonly<Record<string, number>>

export function addCounts(a: Counts, b: Counts): Record<string, number> {
  const sum: Record<string, number> = { ...a }
  for (const [reason, records] of Object.entries(b)) sum[reason] = (sum[reason] ?? 0) + records
  return sum
}

export function sumOfCounts(counts: Counts): number {
  return Object.values(counts).reduce((sum, records) => sum + records, 0)
}
