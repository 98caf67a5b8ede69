/**
 * Limits: what every implementation of the store holds of a document.
 * @module
 */
import { infraError } from '../errors.ts'

/** Largest document, as JSON text in UTF-8; well below ZooKeeper's 1 MiB. */
export const documentBytesMax = 64 * 1024

/** A document's value as JSON. @throws {CodedError} ERR_STORE_TOO_LARGE @throws {TypeError} what JSON has no word for */
export function documentText(path: string, value: unknown): string {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw new TypeError(`Cannot store a value at ${path}: JSON has no word for it`)
  const bytes = Buffer.byteLength(text)
  if (bytes > documentBytesMax) {
    throw infraError(
      'ERR_STORE_TOO_LARGE',
      `Cannot store ${bytes} bytes at ${path}: a document has at most ${documentBytesMax}`,
    )
  }
  return text
}
