/**
 * CanaryText: how a canary does, for people.
 * @module
 */
import type { CanaryView } from '../canary-view.ts'
import { differenceText } from '../difference-text.ts'

export function canaryText(canary: CanaryView, nowMs: number): string {
  const { version, from, percent, sinceMs, bakeMs, passed, waitsFor, diff } = canary
  const seconds = (ms: number): string => `${Math.max(0, Math.round(ms / 1000))}`
  return [
    `canary    v${version} has ${percent} % of the keys beside v${from}, for ${seconds(nowMs - sinceMs)} of ${seconds(bakeMs)} s`,
    `  ${sidesText(canary)}`,
    ...waitsFor.map((line) => `  waits for ${line}`),
    ...(diff?.examples ?? []).map((one) => differenceText(one, `v${version}`, `v${from}`)),
    ...passed.map((line) => `  passed ${line}`),
  ].join('\n')
}

/** What is measured of both, in a line. */
export function sidesText(view: CanaryView): string {
  const { canary, control, canaryP99Us, controlP99Us, windows, slower, diff } = view
  return [
    `${canary.records} records beside ${control.records}`,
    `${canary.errors} failed where the version before did not`,
    `outputs ${ratio(canary.outputs / canary.records, control.outputs / control.records)}`,
    `time ${ratio(canary.ms / canary.records, control.ms / control.records)} (more than allowed in ${slower} of ${windows} windows)`,
    `p99 ${figure(canaryP99Us)} µs beside ${figure(controlP99Us)}`,
    ...(diff === undefined ? [] : [`${diff.different} of ${diff.compared} compared differ`]),
  ].join(', ')
}

function ratio(one: number, other: number): string {
  const times = one / other
  return Number.isFinite(times) ? `${times.toFixed(2)} ×` : '-'
}

function figure(value: number): string {
  return String(Number(value.toPrecision(3)))
}
