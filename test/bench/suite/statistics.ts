/**
 * What the values of several runs come to.
 * @module
 */

/** The middle value; of an even number of values, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('Cannot take the median of no values')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Half the range, as a share of the median: 0.02 means that all runs lay within about ± 2 % of it. */
export function spread(values: readonly number[]): number {
  const middle = median(values)
  if (middle === 0) return 0
  return (Math.max(...values) - Math.min(...values)) / 2 / Math.abs(middle)
}
