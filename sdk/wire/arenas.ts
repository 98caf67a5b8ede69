/**
 * Arenas: which arena of an instance's state a record uses. Arenas of broadcast inputs are the instance's own. They
 * are numbered after all others, so that a share that is handed over never meets them.
 * Design: docs/design/0024-broadcast.md
 * @module
 */
import type { Grouping } from '../function.ts'

/** Most partitions of a stream. */
export const partitionsMax = 1024
/** The number of possible arenas. */
export const arenasMax = 2 * partitionsMax

/** The arena for partition 0 of an input; that for partition p is p higher. */
export function firstArena(grouping: Grouping | undefined): number {
  return grouping === 'broadcast' ? partitionsMax : 0
}

/** The partition that an arena belongs to. */
export function partitionOfArena(arena: number): number {
  return arena % partitionsMax
}

export function isOwnArena(arena: number): boolean {
  return arena >= partitionsMax
}
