/**
 * Base64: whether text is base64. `Buffer.from` skips what is not.
 * @module
 */

/** Its end may lack the padding. */
export function isBase64(text: string): boolean {
  // Not one pattern of groups of four: its stack overflows at 22 MB.
  const padding = /^[A-Za-z0-9+/]*(={0,2})$/.exec(text)?.[1]
  if (padding === undefined) return false
  return padding === '' ? text.length % 4 !== 1 : text.length % 4 === 0 && text.length > 0
}
