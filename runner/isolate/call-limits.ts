/**
 * CallLimits of an instance: the clocks of one call, and what happens when it is slow.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { GuestCall } from './guest.ts'
import { guardMemory, quietMs, type ResidentMemory } from './memory-guard.ts'

/** After this long a batch is asked to end, so that a slow function's outputs leave and its limit counts anew. */
const sliceMs = 50

export interface LimitedCall extends GuestCall {
  /** The call has come back. */
  readonly over: () => void
}

export interface CallLimitsOptions {
  readonly clock: Clock
  readonly heapMib: number
  readonly memory: ResidentMemory | undefined
  /** What the isolate is at, in words. */
  readonly doing: () => string
  readonly askToYield: () => void
  /** The process has come to its bound. */
  readonly onOutgrown: (bytes: number, bytesMax: number) => void
}

export function callLimits(options: CallLimitsOptions, limitMs: number): LimitedCall {
  const { clock, memory, heapMib, doing, askToYield, onOutgrown } = options
  const slowMs = Math.min(quietMs, limitMs / 4)
  let stops: (() => void)[] = []
  return {
    limitMs,
    slowMs,
    slow: () => {
      const yieldMs = Math.min(sliceMs, limitMs / 4) - slowMs
      stops = [clock.after(yieldMs, askToYield)]
      if (memory === undefined) return
      const outgrown = (bytes: number): void => onOutgrown(bytes, memory.bytesMax)
      stops.push(guardMemory(memory, heapMib, clock, outgrown))
    },
    doing,
    over: () => {
      for (const stop of stops) stop()
    },
  }
}
