/**
 * RollingText: the progress of a rolling deploy as text.
 * @module
 */
import type { RollingView } from '../../api/rolling.ts'

export function rollingText({ version, from, wave, width, ...rolling }: RollingView, nowMs: number): string {
  const { working, wanted, instances, sinceMs, isBound } = rolling
  const seconds = Math.max(0, Math.round((nowMs - sinceMs) / 1000))
  return [
    `rolling   v${version} works in ${working} of ${wanted} instances, v${from} in the others; ${width} at a time`,
    `  wave ${wave} for ${seconds} s; it has come to ${instances.join(', ')}`,
    ...(isBound === true ? [`  ${boundText(version)}`] : []),
  ].join('\n')
}

/** Why no partition and no instance moves during a rolling deploy with another format of state. */
export function boundText(version: number): string {
  return `v${version} keeps its state in another format: partitions stay where they are, and their instances too, until it is everywhere`
}
