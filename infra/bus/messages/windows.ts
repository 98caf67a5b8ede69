/**
 * Windows: how many bytes the channels of an owner may have outstanding, and how many are kept of awaited partitions.
 * @module
 */

/** For all producers of an owner together. */
const windowBytesDefault = 8 * 1024 * 1024
const channelWindowMin = 16 * 1024
const channelWindowMax = 1024 * 1024

export function budgetFor(windowBytes = windowBytesDefault, channels: number): number {
  return Math.max(windowBytes, channels * channelWindowMin)
}

/** The part of the budget that is granted while memory is short. */
const narrowShare = 1 / 4

/** The budget divided among the channels, but enough for some records each. */
export function windowFor(windowBytes = windowBytesDefault, channels: number, isNarrow = false): number {
  const budgetBytes = budgetFor(isNarrow ? windowBytes * narrowShare : windowBytes, channels)
  return Math.min(channelWindowMax, Math.floor(budgetBytes / Math.max(1, channels)))
}

/** Kept of one awaited partition. */
export const passedBytesMax = 256 * 1024
/** Kept of all awaited partitions together. */
const passedBytesInAll = 4 * 1024 * 1024

/** How much may be kept of each awaited partition. */
export function passedBytesFor(
  partitions: readonly { readonly epoch: number | undefined }[],
  inAll = passedBytesInAll,
): number {
  const awaited = partitions.filter(({ epoch }) => epoch === undefined).length
  return Math.min(passedBytesMax, Math.floor(inAll / Math.max(1, awaited)))
}
