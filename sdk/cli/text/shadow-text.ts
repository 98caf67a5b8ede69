/**
 * ShadowText: the findings about a shadow as text.
 * @module
 */
import { differenceText } from '../../versions/difference-text.ts'
import {
  matchRate,
  percentText,
  type ShadowEvidence,
  type ShadowView,
  untimedRecords,
} from '../../versions/shadow.ts'

/** @param examples Default: those of the report. */
export function shadowText(shadow: ShadowView, examples = shadow.evidence.examples): string {
  const { name, version, from, state, sinceMs, untilMs, bakeMs, instances, instancesOf, evidence } = shadow
  const { compared, different, failed, timers, outputs, listed } = evidence
  const seconds = (ms: number): string => (ms / 1000).toFixed(0)
  const lines = [
    `${name} v${version} as a shadow of v${from}: ${state}, ${seconds(untilMs - sinceMs)} of ${seconds(bakeMs)} s, in ${instances} of ${instancesOf} instances`,
    ...(state === 'failed' ? [`  why       ${shadow.reason ?? 'nothing was said'}`] : []),
    compared === 0
      ? '  match     no record was compared'
      : `  match     ${percentText(matchRate(evidence))} of ${compared} records compared: ${different} differ`,
    `  missed    ${missedText(evidence)}`,
    `  failed    ${failed.shadow} in v${version} alone, ${failed.live} in v${from} alone, ${failed.both} in both`,
    `  timers    ${timers.compared} times compared, ${timers.different} differ`,
    `  outputs   ${outputs.shadow} of v${version}, ${outputs.live} of v${from}`,
    `  time      ${timeText(evidence)}`,
  ]
  if (examples.length === 0) return lines.join('\n')
  return [
    ...lines,
    ...examples.map((one) => differenceText(one, `v${version}`, `v${from}`)),
    `  ${listed} are recorded: concord fn shadow ${name} v${version} --all`,
  ].join('\n')
}

/** One line for a shadow that still runs. */
export function shadowLine({ evidence, instances, instancesOf }: ShadowView): string {
  const { compared, different, failed } = evidence
  return [
    `${compared} records compared, ${different} differ`,
    ...(compared === 0 ? [] : [`match ${percentText(matchRate(evidence))}`]),
    `${failed.shadow} failed in it alone`,
    `missed ${missedText(evidence)}`,
    ...(instances < instancesOf ? [`in ${instances} of ${instancesOf} instances`] : []),
  ].join(', ')
}

function missedText({ records, compared, missed }: ShadowEvidence): string {
  if (records === compared) return 'none'
  const { notReady, behind, ended } = missed
  const why = [
    ...(behind > 0 ? [`${behind} because it could not keep up`] : []),
    ...(notReady > 0 ? [`${notReady} because it was not ready`] : []),
    ...(ended > 0 ? [`${ended} because it had ended`] : []),
  ]
  return `${records - compared} of ${records} (${why.join(', ')})`
}

export function timeText({ timed, ms, p99Us }: ShadowEvidence): string {
  if (timed === 0)
    return `not measured: the first ${untimedRecords} records in each instance are left out, and no more came`
  if (ms.live === 0) return 'not measured: too short for the clock'
  const us = (sum: number): string => `${figure((sum / timed) * 1000)} µs`
  return `${(ms.shadow / ms.live).toFixed(2)} × (${us(ms.shadow)} a record beside ${us(ms.live)}), p99 ${figure(p99Us.shadow)} µs beside ${figure(p99Us.live)}`
}

function figure(value: number): string {
  return String(Number(value.toPrecision(3)))
}
