/**
 * Json: values as the bytes of a message, and back.
 * @module
 */

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(value))
}

/** @returns Undefined if it is no JSON. */
export function parsedJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch {
    return undefined
  }
}
