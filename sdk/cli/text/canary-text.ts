/**
 * CanaryText: the progress of a canary as text.
 *
 *   CT1. A ratio is shown only if both sides have enough records; before that, the text says what is missing.
 * @module
 */

import type { CanaryView } from '../../api/canary.ts'
import type { VersionSummary } from '../../api/versions.ts'
import { bucketsPerSide } from '../../versions/canary.ts'
import { differenceText } from '../../versions/difference-text.ts'

/** The records that each side needs before outputs are judged (scheduler/core/rollout/judge.ts). */
const enoughRecords = 5 * bucketsPerSide

export function canaryText(canary: CanaryView, nowMs: number): string {
  const { version, from, percent, sinceMs, bakeMs, passed, waitsFor, diff } = canary
  const elapsedMs = Math.max(0, nowMs - sinceMs)
  const seconds = (ms: number): string => `${Math.floor(ms / 1000)}`
  const time =
    elapsedMs < bakeMs
      ? `for ${seconds(elapsedMs)} of ${seconds(bakeMs)} s`
      : `for ${seconds(elapsedMs)} s; it ${waitText(canary)}`
  return [
    `canary    v${version} has ${percent} % of the keys beside v${from}, ${time}`,
    `  ${sidesText(canary)}`,
    ...waitsFor.map((line) => `  waits for ${line}`),
    ...(diff?.examples ?? []).map((one) => differenceText(one, `v${version}`, `v${from}`)),
    ...passed.map((line) => `  passed ${line}`),
  ].join('\n')
}

/** What a step waits for after its time is over. */
export function waitText(view: CanaryView): string {
  const { wait, records } = waitOf(view)
  if (records === undefined) return wait
  return `${wait}, has ${records} of the ${view.minRecords} that a step needs`
}

/** The same, with the records that it has apart: they change with every look. */
export function waitOf(view: CanaryView): { readonly wait: string; readonly records?: number } {
  const { canary, control, minRecords = 0, maxErrors = 1, diff, waitsFor, slower, windows } = view
  const { length: instances } = waitsFor
  if (instances > 0) return { wait: `waits for ${instances === 1 ? '1 instance' : `${instances} instances`}` }
  if (canary.records < minRecords) return { wait: 'waits for records of its keys', records: canary.records }
  if (diff !== undefined && diff.compared < minRecords)
    return { wait: 'waits for records to compare', records: diff.compared }
  if (slower > windows / 2) return { wait: 'waits for more windows, since it was slower in most' }
  const isOver = canary.errors > maxErrors * canary.records
  if (isOver && canary.errors * control.records >= control.errors * canary.records)
    return { wait: 'waits for more records, since more failed than are allowed' }
  return { wait: 'is being judged' }
}

/**
 * The steps that passed without a record, if other steps had some. A canary without any record is called untried
 * instead.
 */
export function quietText({ quietAt = [] }: Pick<VersionSummary, 'quietAt'> = {}): string {
  return quietAt.length === 0 ? '' : `, but no record came at ${quietAt.join(' % and ')} % of the keys`
}

/** The measurements of both sides, in one line. */
export function sidesText(view: CanaryView): string {
  const { canary, control, canaryP99Us, controlP99Us, windows, slower, diff } = view
  if (canary.records + control.records === 0)
    return 'no record yet of its keys, nor of the others that it is compared with'
  const isEnough = Math.min(canary.records, control.records) >= enoughRecords
  const lacks = [...(isEnough ? [] : ['outputs']), ...(windows > 0 ? [] : ['time'])]
  return [
    `${canary.records} records beside ${control.records}`,
    `${canary.errors} failed where the version before did not`,
    ...(isEnough ? [outputsText(view)] : []),
    ...(windows > 0
      ? [
          `slower than allowed in ${slower} of ${windows} windows (p99 of all so far: ${figure(canaryP99Us)} µs beside ${figure(controlP99Us)})${slower > windows / 2 ? ', which may be chance' : ''}`,
        ]
      : []),
    ...(lacks.length > 0 ? [`too few yet to compare ${lacks.join(' and ')}`] : []),
    ...(diff === undefined ? [] : [`${diff.different} of ${diff.compared} compared differ`]),
  ].join(', ')
}

function outputsText({ canary, control }: CanaryView): string {
  const perRecord = ({ outputs, records }: CanaryView['canary']): number => outputs / records
  if (control.outputs > 0) return `outputs ${(perRecord(canary) / perRecord(control)).toFixed(2)} ×`
  return canary.outputs > 0 ? `${canary.outputs} outputs beside none` : 'no outputs'
}

function figure(value: number): string {
  return String(Number(value.toPrecision(3)))
}
