/**
 * DifferenceText: a record for which two versions gave different outputs, as text.
 * @module
 */
import type { ShadowDifference, ShadowOutput, ShadowSide } from './shadow.ts'

const textShown = 160

/** @param version The names of the two versions. */
export function differenceText(difference: ShadowDifference, version: string, from: string): string {
  const { live, shadow, cut } = difference
  const width = Math.max(from.length, version.length, 6)
  return [
    `  ${placeText(difference)}${cut ? ' (cut)' : ''}`,
    `    ${from.padEnd(width)}  ${sideText(live)}`,
    `    ${version.padEnd(width)}  ${sideText(shadow)}`,
  ].join('\n')
}

/** In one line, starting with the outputs of the version before. */
export function differenceLine(difference: ShadowDifference): string {
  const { live, shadow } = difference
  return `${placeText(difference)}, ${sideText(live)} before, ${sideText(shadow)} now`
}

function placeText(difference: ShadowDifference): string {
  const { stream, partition, sequence, timersAtMs } = difference
  return timersAtMs === undefined
    ? `${stream}/${partition} #${sequence} ${pairText(difference)}`
    : `timers at ${new Date(timersAtMs).toISOString()}`
}

function sideText({ outputs, error }: ShadowSide): string {
  if (error !== undefined) return `threw ${shown(error)}`
  if (outputs.length === 0) return 'nothing'
  return outputs.map((output) => `${output.stream} ${pairText(output)}`).join('; ')
}

function pairText({ key, keyBase64, value, valueBase64 }: Omit<ShadowOutput, 'stream' | 'timeMs'>): string {
  return `${dataText(key, keyBase64)}: ${dataText(value, valueBase64)}`
}

function dataText(text: string | undefined, base64: string | undefined): string {
  return text === undefined ? `base64 ${shown(base64 ?? '')}` : shown(JSON.stringify(text))
}

function shown(text: string): string {
  return text.length > textShown ? `${text.slice(0, textShown)}…` : text
}
