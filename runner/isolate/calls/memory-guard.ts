/**
 * MemoryGuard: ends a call during which the process grows towards its memory bound, early enough to end it in order:
 * finished output leaves, and the current record is named and handled. Otherwise the watchdog's SIGKILL would end the
 * process with everything under way. V8's heap limit is no protection (2 GB were seen from an isolate of 16 MB).
 *
 *   MG1. Only calls longer than `quietMs` are watched, so quick ones cost nothing.
 *   MG2. Only a call that grows is ended; a process that is near its bound without growing is the watchdog's
 *        business.
 * @module
 */
import type { Clock } from '../../../infra/clock.ts'
import { memorySoftShare } from '../../../sdk/manifest/manifest.ts'

/** The process's memory and its bound. */
export interface ResidentMemory {
  readonly bytesMax: number
  readonly bytes: () => number
}

/** The bound that a call has reached: its isolate's or its process's. */
export interface Exceeded {
  readonly bound: 'heap' | 'process'
  readonly bytes: number
  /** Growth since the call began. */
  readonly grownBytes: number
}

/** How long a call is not watched. */
export const quietMs = 10
const lookEveryMs = 5
const growthBytesMin = 24 * 1024 * 1024

/** Watches a call. @param heapMib The limit of the isolate's heap. @returns A function that stops watching. */
export function guardMemory(
  { bytes, bytesMax }: ResidentMemory,
  heapMib: number,
  clock: Clock,
  onExceeded: (exceeded: Exceeded) => void,
): () => void {
  const before = bytes()
  // V8 lets a heap grow far beyond its limit before it is stopped, and needs room to collect it.
  const growthBytesMax = (heapMib + 16) * 2 ** 20
  let cancel = clock.after(lookEveryMs, look)
  function look(): void {
    const now = bytes()
    const grownBytes = now - before
    const full = now > bytesMax * memorySoftShare
    if (full && grownBytes > growthBytesMin) onExceeded({ bound: 'process', bytes: now, grownBytes })
    else if (grownBytes > growthBytesMax) onExceeded({ bound: 'heap', bytes: now, grownBytes })
    else cancel = clock.after(lookEveryMs, look)
  }
  return () => cancel()
}
