/**
 * KeyShare: a part of the key space. Each key has a point on a ring of `pointsMax`, from its hash and a salt; a share
 * is a range of points. So a growing share keeps its keys, and another salt selects other keys.
 *
 *   KS1. The point is independent of the key's partition: every partition has keys of every share.
 *   KS2. Records without a key, and their timers, have the last point, so that a canary does not get them.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import { murmur3 } from './hash.ts'

const { imul } = Math

export const pointsMax = 65_536

export interface KeyShare {
  readonly salt: number
  /** Points from here on … */
  readonly from: number
  /** … to below here. */
  readonly to: number
  /** The number of records of the batch, of any share, after which it ends; default: none. */
  readonly records?: number
  /** No timer is called, though some are due. */
  readonly withoutTimers?: boolean
}

/** The point of the key of `length` bytes from `offset` on. */
export function pointOf(bytes: Uint8Array, offset: number, length: number, salt: number): number {
  if (length === 0) return pointsMax - 1
  // Murmur's finalizer over the hash that partitions come of: equal partitions do not make equal points (KS1).
  let hash = murmur3(bytes, offset, length) ^ imul(salt + 1, 0x9e3779b1)
  hash = imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 16
}
