/**
 * The key hash: MurmurHash3 x86 32-bit, seed 0, over the key's bytes; partition = hash mod partitions.
 *
 * Fixed for ever by what lies in partitions and arenas already: a client in another language finds the same
 * partition with any MurmurHash3 library. Source: Austin Appleby, MurmurHash3.cpp (public domain), from whose
 * description this was written; the test vectors are the published ones.
 * @module
 */

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
  for (; at < blocksEnd; at += 4) {
    let block = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    block = Math.imul(block, c1)
    block = (block << 15) | (block >>> 17)
    hash ^= Math.imul(block, c2)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  const rest = length & 3
  if (rest === 3) tail ^= bytes[at + 2]! << 16
  if (rest >= 2) tail ^= bytes[at + 1]! << 8
  if (rest >= 1) {
    tail ^= bytes[at]!
    tail = Math.imul(tail, c1)
    tail = (tail << 15) | (tail >>> 17)
    hash ^= Math.imul(tail, c2)
  }
  hash ^= length
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  return hash >>> 0
}

/** The partition of a key in a stream partitioned by key. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return murmur3(key) % partitions
}
