/**
 * CheckpointGauges: how old the newest checkpoints of each function are, as metrics. Runners say when they took one; the gateway
 * hears all of them, so an alarm needs no scrape of runners, which come and go.
 *
 *   CE1. Of several instances the one furthest behind counts: its state is at risk.
 *   CE2. A runner's times are compared with that runner's clock alone.
 *   CE3. The store is not asked: what is shown is true while it is away.
 *   CE4. A gateway that hears nobody shows none: it would speak for functions whose runners others hear.
 * @module
 */
import type { GatewayMetrics } from '../metrics.ts'
import type { LiveFunction } from './catalog.ts'
import { type Heartbeats, reportOf } from './heartbeats.ts'

/** Sets the gauges, before they are shown. */
export function showCheckpoints(
  functions: Iterable<LiveFunction>,
  heartbeats: Pick<Heartbeats, 'of' | 'silentMs' | 'deafMs' | 'agoMs'>,
  { checkpointAge, checkpointInterval }: Pick<GatewayMetrics, 'checkpointAge' | 'checkpointInterval'>,
): void {
  for (const gauge of [checkpointAge, checkpointInterval]) gauge.reset()
  if (heartbeats.deafMs > 0) return // CE4
  for (const live of functions) {
    const { checkpoint } = live.version.manifest
    const ageMs = checkpoint === false ? undefined : checkpointAgeMs(live, heartbeats)
    if (checkpoint === false || ageMs === undefined) continue
    checkpointAge.set({ function: live.name }, ageMs / 1000)
    checkpointInterval.set({ function: live.name }, checkpoint.everyMs / 1000)
  }
}

/** Undefined: no instance takes checkpoints now, as far as is heard. */
function checkpointAgeMs(
  { status }: LiveFunction,
  heartbeats: Pick<Heartbeats, 'of' | 'silentMs' | 'agoMs'>,
): number | undefined {
  const ages = (status?.instances ?? []).flatMap((instance) => {
    const beat = instance.taskId === undefined ? undefined : heartbeats.of(instance.taskId)
    const report = reportOf(beat, instance)
    if (beat === undefined || report?.state !== 'running' || report.checkpoint === undefined) return []
    const { atMs } = report.checkpoint
    if (atMs !== undefined) return [heartbeats.agoMs(beat, atMs)] // CE2
    const elapsedMs = report.work?.elapsedMs
    return elapsedMs === undefined ? [] : [elapsedMs + heartbeats.silentMs(beat.id)]
  })
  return ages.length === 0 ? undefined : Math.max(...ages) // CE1
}
