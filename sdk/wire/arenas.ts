/**
 * Arenas: which of the arenas of its state an instance opens for a record. Those of a broadcast input are the instance's
 * own and lie behind all others, so that a share that comes or goes does not meet them.
 * Design: docs/design/0024-broadcast.md
 * @module
 */
import type { Grouping } from '../function.ts'

/** Most partitions of a stream. */
export const partitionsMax = 1024
/** One more than the highest arena there may be. */
export const arenasMax = 2 * partitionsMax

/** The arena for partition 0 of an input; that for p is p behind it. */
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
