/**
 * Those modes of back-pressure in which an input has a queue of its own at each producer (docs/functions.md).
 * @module
 */
import type { BackPressure } from '../function.ts'

/** What may wait unless the input says otherwise: memory, with `enqueue` disk. */
export const queueMibDefaults = { dropHead: 4, dropTail: 4, enqueue: 256 } as const
/** For how long it may wait on disk. */
export const queueAgeMsDefault = 86_400_000

export type QueueMode = keyof typeof queueMibDefaults

export function isQueueMode(mode: BackPressure): mode is QueueMode {
  return mode in queueMibDefaults
}
