/**
 * GateText: the findings of the gate as text.
 * @module
 */
import { differenceText } from '../../versions/difference-text.ts'
import type { GateReport } from '../../versions/gate.ts'
import { matchRate, percentText } from '../../versions/shadow.ts'
import { bytesText } from '../terminal.ts'
import { timeText } from './shadow-text.ts'

/**
 * @param ofVersion The name of the judged version. It gets a number only when it is deployed, after a breach only if
 *   accepted.
 */
export function gateText(report: GateReport, ofVersion?: string): string {
  const findings = findingsText(report, ofVersion)
  if (report.instances === 0 && report.evidence.failed === undefined) return findings
  return `${findings}\n${verdictText(report, ofVersion !== undefined)}`
}

/** The findings without the gate's verdict. */
export function findingsText(report: GateReport, ofVersion = 'the new one'): string {
  const { name, from, tookMs, instances, instancesOf, evidence } = report
  const { found, heapBytes, stateBytes, errors, ended, failed } = evidence
  const { compared, different, failed: threw, timers, outputs, examples } = found
  if (instances === 0 && failed === undefined)
    return `${name}: no instance of v${from} is running, so there is nothing to compare with.`
  return [
    `${name}, tested beside v${from} in ${(tookMs / 1000).toFixed(1)} s, in ${instances} of ${instancesOf} instances`,
    ...(failed === undefined ? [] : [`  failed    ${failed}`]),
    ...(ended === undefined ? [] : [`  ended     ${ended}`]),
    `  records   ${recordsText(report)}`,
    `  state     ${stateText(report)}`,
    compared === 0
      ? '  match     no record could be compared'
      : `  match     ${percentText(matchRate(found))} of ${compared} records compared: ${different} differ`,
    `  failed    ${threw.shadow} in ${ofVersion} alone, ${threw.live} in v${from} alone, ${threw.both} in both`,
    ...errors.map(
      ({ name: kind, message, at, records }) =>
        `            ${records} × ${kind}: ${message}${at === undefined ? '' : ` at ${at}`}`,
    ),
    `  timers    ${timers.compared} times compared, ${timers.different} differ`,
    `  outputs   ${outputs.shadow} of ${ofVersion}, ${outputs.live} of v${from}`,
    `  time      ${timeText(found)}`,
    `  memory    heap ${bytesText(heapBytes.shadow)} beside ${bytesText(heapBytes.live)}, state ${bytesText(stateBytes.shadow)} beside ${bytesText(stateBytes.live)}`,
    ...examples.map((one) => differenceText(one, ofVersion, `v${from}`)),
  ].join('\n')
}

function verdictText({ breaches, evidence }: GateReport, isDeployed: boolean): string {
  if (breaches === undefined) return 'Its manifest has no gate: none of this would stop a deploy.'
  if (breaches.length === 0)
    return evidence.found.compared > 0
      ? 'It passes its gate.'
      : "It passes its gate untested: no record could be compared ('gate.minRecords' requires some)."
  const why = breaches.join('; ')
  return isDeployed ? `It was deployed although its gate objects: ${why}.` : `Its gate stops it: ${why}.`
}

function recordsText({ evidence: { found, sinceMs, untilMs } }: GateReport): string {
  const { records, compared, missed } = found
  if (sinceMs === undefined || untilMs === undefined) return 'none are on the tape'
  const time = (ms: number): string => new Date(ms).toISOString().slice(11, 19)
  const why = [
    ...(missed.behind > 0 ? [`${missed.behind} were left when time was up`] : []),
    ...(missed.ended > 0 ? [`${missed.ended} were left when it ended`] : []),
  ]
  return [`${compared} of ${records} on the tape, of ${time(sinceMs)} to ${time(untilMs)}`, ...why].join('; ')
}

function stateText({ evidence: { state } }: GateReport): string {
  const { bytes, restored, lacking, between, atMs } = state
  if (restored + lacking === 0) return 'none when the tape begins'
  const parts = [
    ...(restored > 0
      ? [
          `${bytesText(bytes)} as it was ${atMs === undefined ? '' : `at ${new Date(atMs).toISOString().slice(11, 19)} `}in a checkpoint`,
        ]
      : []),
    ...(between > 0 ? [`${between} records since then are not on the tape`] : []),
    ...(lacking > 0 ? [`${lacking} partitions started with none, since there is no checkpoint`] : []),
  ]
  return parts.join('; ')
}
