/**
 * Base64: whether text is base64. `Buffer.from` skips what is not.
 * @module
 */

/** Its end may lack the padding. */
export function isBase64(text: string): boolean {
  return /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(text)
}
