/**
 * Idle: notices when a partition has had no line for a while of the platform's clock, so that the last windows of a log,
 * or of the evening, close without a line that moves the time on. One timer a partition, however many lines.
 * @module
 */
import type { Context } from 'concord'

interface Quiet {
  readonly cameMs: number
  readonly timed: boolean
}

const stateKey = 'idle'
const timerPrefix = 'idle/'

/** A line has come. */
export function lineCame(ctx: Context, partition: number, idleMs: number): void {
  const { cameMs, timed } = ctx.getJson<Quiet>(stateKey) ?? { cameMs: -1, timed: false }
  const nowMs = ctx.nowMs()
  if (!timed) ctx.setTimer(timerPrefix + partition, nowMs + idleMs)
  if (!timed || cameMs !== nowMs) ctx.setJson(stateKey, { cameMs: nowMs, timed: true } satisfies Quiet)
}

/** For `processTimer`. @returns The partition that is idle; undefined if a line has come meanwhile. */
export function idlePartition(ctx: Context, timerKey: string, idleMs: number): number | undefined {
  const { cameMs } = ctx.getJson<Quiet>(stateKey)!
  const dueMs = cameMs + idleMs
  const timed = ctx.nowMs() < dueMs
  if (timed) ctx.setTimer(timerKey, dueMs)
  ctx.setJson(stateKey, { cameMs, timed } satisfies Quiet)
  return timed ? undefined : Number(timerKey.slice(timerPrefix.length))
}
