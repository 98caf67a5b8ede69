/**
 * CanaryText: how a canary does, for people.
 * @module
 */
import type { CanaryView } from '../canary-view.ts'

export function canaryText(canary: CanaryView, nowMs: number): string {
  const { version, from, percent, sinceMs, bakeMs, passed, waitsFor } = canary
  const seconds = (ms: number): string => `${Math.max(0, Math.round(ms / 1000))}`
  return [
    `canary    v${version} has ${percent} % of the keys beside v${from}, for ${seconds(nowMs - sinceMs)} of ${seconds(bakeMs)} s`,
    `  ${sidesText(canary)}`,
    ...waitsFor.map((line) => `  waits for ${line}`),
    ...passed.map((line) => `  passed ${line}`),
  ].join('\n')
}

/** What is measured of both, in a line. */
export function sidesText({ canary, control, canaryP99Us, controlP99Us }: CanaryView): string {
  return [
    `${canary.records} records beside ${control.records}`,
    `${canary.errors} failed where the version before did not`,
    `outputs ${ratio(canary.outputs / canary.records, control.outputs / control.records)}`,
    `time ${ratio(canary.ms / canary.records, control.ms / control.records)}`,
    `p99 ${figure(canaryP99Us)} µs beside ${figure(controlP99Us)}`,
  ].join(', ')
}

function ratio(one: number, other: number): string {
  const times = one / other
  return Number.isFinite(times) ? `${times.toFixed(2)} ×` : '-'
}

function figure(value: number): string {
  return String(Number(value.toPrecision(3)))
}
