/**
 * Words: copies the author's bytes and text into memory that is written by words, which costs half of writing byte by byte.
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

/**
 * Copies a text to the first words, if it is ASCII. The rest of the last word becomes zero.
 * @returns Whether it was; if not, what it has written means nothing.
 */
export function putAscii(words: Int32Array, text: string): boolean {
  const length = text.length
  let seen = 0
  let i = 0
  for (const end = length - 3; i < end; i += 4) {
    const first = text.charCodeAt(i)
    const second = text.charCodeAt(i + 1)
    const third = text.charCodeAt(i + 2)
    const fourth = text.charCodeAt(i + 3)
    seen |= first | second | third | fourth
    words[i >> 2] = first | (second << 8) | (third << 16) | (fourth << 24)
  }
  if (i === length) return seen < 0x80
  let last = 0
  for (let shift = 0; i + (shift >> 3) < length; shift += 8) {
    const unit = text.charCodeAt(i + (shift >> 3))
    seen |= unit
    last |= unit << shift
  }
  words[i >> 2] = last
  return seen < 0x80
}
