/**
 * Indexes: which indexes a function's instances get.
 * @module
 */

/** The lowest `count` existing indexes, filled up with the lowest free ones. */
export function wantedIndexes(
  existing: readonly number[],
  count: number,
  barred: ReadonlySet<number>,
): number[] {
  const kept = [...existing].sort((a, b) => a - b).slice(0, count)
  for (let index = 0; kept.length < count; index++) {
    if (!kept.includes(index) && !barred.has(index)) kept.push(index)
  }
  return kept.sort((a, b) => a - b)
}
