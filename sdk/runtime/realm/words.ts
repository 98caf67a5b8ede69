/**
 * Words: copies the author's bytes into memory that is written by words, which costs half of writing byte by byte.
 *
 * The lowest byte of a word comes first: that is the byte order of the machines that this runs on, and of frames.
 * @module
 */

/**
 * Up to this size bytes are copied here; beyond it a call of `copyBytes` is faster. Measured:
 * docs/design/0004-batch-path.md.
 */
export const copiedByWordsMax = 64

/** Copies the first `length` bytes to the word at `at` and those after it. The rest of the last word becomes zero. */
export function putBytes(words: Int32Array, at: number, bytes: Uint8Array, length: number): void {
  let i = 0
  for (; i + 4 <= length; i += 4)
    words[at++] = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
  const rest = length - i
  if (rest === 0) return
  const last = bytes[i]! | (rest > 1 ? bytes[i + 1]! << 8 : 0) | (rest > 2 ? bytes[i + 2]! << 16 : 0)
  words[at] = last & ((1 << (rest * 8)) - 1) // an array that only pretends to have bytes may have larger elements
}
