/**
 * LongTimer: timers of any length. Node's own take 31 bits of milliseconds, and fire at once beyond that.
 * @module
 */
import type { Clock } from '../../clock.ts'

const stepMaxMs = 2 ** 31 - 1

export function afterLong(clock: Clock, delayMs: number, run: () => void): () => void {
  let cancel: () => void
  const step = (leftMs: number): void => {
    cancel = clock.after(Math.min(leftMs, stepMaxMs), () =>
      leftMs > stepMaxMs ? step(leftMs - stepMaxMs) : run(),
    )
  }
  step(delayMs)
  return () => cancel()
}
