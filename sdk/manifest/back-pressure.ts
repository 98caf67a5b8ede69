/**
 * BackPressure: the modes in which an input has a queue of its own at each producer (docs/functions.md).
 * @module
 */
import type { BackPressure } from '../function.ts'

/** The default size of a queue, in MiB: of memory; with `enqueue`, of disk. */
export const queueMibDefaults = { dropHead: 4, dropTail: 4, enqueue: 256 } as const
/** The default of the longest time that a record waits on disk. */
export const queueAgeMsDefault = 86_400_000

export type QueueMode = keyof typeof queueMibDefaults

export function isQueueMode(mode: BackPressure): mode is QueueMode {
  return mode in queueMibDefaults
}
