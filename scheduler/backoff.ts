/**
 * Backoff: how long to wait before the next attempt. Also the random number generator that the core carries in its
 * state, so that the same events give the same actions.
 * @module
 */

/**
 * Returns a delay of `baseMs` × 2^attempt, at most `maxMs`. Its upper half is random, so that instances that failed
 * together do not come back together.
 * @param attempt Failed attempts before, from 0.
 * @param random Uniform in [0, 1).
 */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: number): number {
  const fullMs = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30))
  return Math.round(fullMs / 2 + (fullMs / 2) * random)
}

/** One step of mulberry32. @returns a number in [0, 1) and the next seed. */
export function nextRandom(seed: number): readonly [number, number] {
  const next = (seed + 0x6d2b79f5) >>> 0
  let t = next
  t = Math.imul(t ^ (t >>> 15), t | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return [((t ^ (t >>> 14)) >>> 0) / 2 ** 32, next]
}
