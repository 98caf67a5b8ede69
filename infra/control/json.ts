/**
 * Json: the value in a message.
 * @module
 */

/** @returns Undefined if it is not JSON. */
export function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
