/**
 * MemoryGuard: ends a call during which the process grows towards its bound, while there is time to end it in order: what
 * was finished leaves, the record at hand is named and dealt with. The wall behind it is the watchdog's SIGKILL, which takes
 * along all that was under way. V8's heap limit is no wall at all (facts: 2 GB out of an isolate of 16 MB).
 *
 *   MG1. Only a call that has lasted `quietMs` is looked at, so a quick one costs nothing.
 *   MG2. Only who grows is ended: a process that stands near its bound is for the watchdog to judge.
 * @module
 */
import type { Clock } from '../../../infra/clock.ts'
import { memorySoftShare } from '../../../sdk/manifest/manifest.ts'

/** The process's memory, and what it may come to. */
export interface ResidentMemory {
  readonly bytesMax: number
  readonly bytes: () => number
}

/** Which bound a call has come to: what its isolate may take, or what its process may. */
export interface Exceeded {
  readonly bound: 'heap' | 'process'
  readonly bytes: number
  /** Since the call began. */
  readonly grownBytes: number
}

/** How long a call goes unwatched. */
export const quietMs = 10
const lookEveryMs = 5
const growthBytesMin = 24 * 1024 * 1024

/** Looks until the answer is called. @param heapMib The limit of the isolate's heap. */
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
