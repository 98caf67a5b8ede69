/**
 * Words: bytes of an author's on their way into memory that is written by words, which costs half of writing byte by byte.
 *
 * The lowest byte of a word comes first: so the machines that this runs on lay words out, and so frames are written.
 * @module
 */

/** Bytes up to here are copied here; for more a call of `copyBytes` is quicker. Measured: docs/design/0004-batch-path.md. */
export const copiedByWordsMax = 64

/** Copies the first `length` bytes to where the word at `at` begins. What is left of the last word becomes zero. */
export function putBytes(words: Int32Array, at: number, bytes: Uint8Array, length: number): void {
  let i = 0
  for (; i + 4 <= length; i += 4)
    words[at++] = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
  const rest = length - i
  if (rest === 0) return
  const last = bytes[i]! | (rest > 1 ? bytes[i + 1]! << 8 : 0) | (rest > 2 ? bytes[i + 2]! << 16 : 0)
  words[at] = last & ((1 << (rest * 8)) - 1) // what only looks like bytes may hold more than that
}
