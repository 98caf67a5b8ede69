/**
 * Windows: how many bytes the channels of an owner may have outstanding, and what is kept of those that it awaits.
 * @module
 */

/** Of all producers of an owner together. */
export const windowBytesDefault = 8 * 1024 * 1024
const channelWindowMin = 16 * 1024
const channelWindowMax = 1024 * 1024

export function budgetFor(windowBytes = windowBytesDefault, channels: number): number {
  return Math.max(windowBytes, channels * channelWindowMin)
}

/** The budget shared among the channels, but enough for some records each. */
export function windowFor(windowBytes: number | undefined, channels: number): number {
  return Math.min(channelWindowMax, Math.floor(budgetFor(windowBytes, channels) / Math.max(1, channels)))
}

/** Of what passes of a partition that is awaited. */
export const passedBytesMax = 256 * 1024
/** Of all partitions that an owner awaits. */
const passedBytesInAll = 4 * 1024 * 1024

/** What may be kept of each of these partitions that is awaited. */
export function passedBytesFor(
  partitions: readonly { readonly epoch: number | undefined }[],
  inAll = passedBytesInAll,
): number {
  const awaited = partitions.filter(({ epoch }) => epoch === undefined).length
  return Math.min(passedBytesMax, Math.floor(inAll / Math.max(1, awaited)))
}
