/**
 * The key hash: MurmurHash3 x86 32-bit, seed 0, over the key's bytes; partition = hash mod partitions.
 *
 * Fixed for ever by what lies in partitions and arenas already: a client in another language finds the same
 * partition with any MurmurHash3 library. Source: Austin Appleby, MurmurHash3.cpp (public domain), from whose
 * description this was written; the test vectors are the published ones.
 * @module
 */

const { imul } = Math
const c1 = 0xcc9e2d51
const c2 = 0x1b873593

/**
 * Hashes `length` bytes of `bytes` from `offset`.
 * @returns An unsigned 32-bit integer.
 */
export function murmur3(bytes: Uint8Array, offset = 0, length = bytes.length - offset): number {
  let hash = 0
  const blocksEnd = offset + (length & ~3)
  let at = offset
  for (; at < blocksEnd; at += 4)
    hash = stirred(
      hash ^ mixed(bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)),
    )
  let tail = 0
  const rest = length & 3
  if (rest === 3) tail ^= bytes[at + 2]! << 16
  if (rest >= 2) tail ^= bytes[at + 1]! << 8
  if (rest >= 1) hash ^= mixed(tail ^ bytes[at]!)
  return finished(hash ^ length)
}

/** The same for `length` bytes that begin with the word at `at`, lowest byte first. */
export function murmur3Words(words: Int32Array, at: number, length: number): number {
  let hash = 0
  const end = at + (length >>> 2)
  for (; at < end; at++) hash = stirred(hash ^ mixed(words[at]!))
  const rest = length & 3
  if (rest !== 0) hash ^= mixed(words[at]! & ((1 << (rest * 8)) - 1))
  return finished(hash ^ length)
}

function mixed(block: number): number {
  const product = imul(block, c1)
  return imul((product << 15) | (product >>> 17), c2)
}

function stirred(hash: number): number {
  return (imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
}

function finished(hash: number): number {
  hash = imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The partition of a key in a stream partitioned by key. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return murmur3(key) % partitions
}
