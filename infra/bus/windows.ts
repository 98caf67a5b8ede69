/**
 * Windows: how many bytes the channels of an owner may have outstanding.
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
