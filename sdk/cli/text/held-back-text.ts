/**
 * HeldBackText: names who holds a stream up because it does not run, or is too slow, with the figures that show it.
 * @module
 */
import type { HeldBack } from '../../api/index.ts'
import { lagText } from './lag-text.ts'

/** A line for each; an earlier gateway reports none. */
export function heldBackText(heldBackBy: readonly HeldBack[] = []): string {
  return heldBackBy.map((held) => `${headText(held)}${whyText(held)}`).join('\n')
}

/** `s1 is held back by a, which waits for b, which waits for c`. */
function headText({ stream, via = [], reader, queues }: HeldBack): string {
  if (queues) return `${reader} does not keep up with ${stream}`
  return `${stream} is held back by ${[...via, reader].map(nameText).join(', which waits for ')}`
}

function nameText(reader: string): string {
  return reader.startsWith('follower.') ? `a reader over HTTP (${reader})` : reader
}

function whyText(held: HeldBack): string {
  const {
    reader,
    instancesRunning,
    instancesWanted,
    instancesBusy,
    instancesUnheard = 0,
    records,
    cause,
    input,
  } = held
  const on = input === undefined ? '' : ` on ${input}`
  const waits = `${records === 1 ? '1 record waits' : `${records} records wait`} for it${on}${sinceText(held)}`
  if (instancesRunning === undefined)
    return `: ${waits}${rateText(held)}; it reads too slowly, or its client is gone`
  const why = `(\`concord fn why ${reader}\`)`
  if (cause === undefined)
    return `: ${instancesRunning} of ${instancesWanted} instances run, and ${waits}; once 8 MiB do, everybody waits ${why}`
  if (cause === 'stuck')
    return `: ${waits}${rateText(held)}, and nobody is seen at work on them (\`concord fn inspect ${reader}\`)`
  const head = `${held.queues ? '' : ', which is behind'}: ${waits}${rateText(held)}`
  if (instancesUnheard > 0)
    return `${head}; nothing is heard of ${instancesUnheard} of its ${instancesRunning} instances ${why}`
  const isOne = instancesBusy !== undefined && instancesBusy < instancesRunning
  const advice = isOne
    ? `; ${instancesBusy} of its ${instancesRunning} instances ${instancesBusy === 1 ? 'is' : 'are'} busy (\`concord fn move ${reader}\`)`
    : ` (\`concord fn scale ${reader} N\`)`
  return `${head}${advice}`
}

function sinceText({ lagMs = 0, records }: HeldBack): string {
  return lagMs === 0 ? '' : `, ${records === 1 ? '' : 'the oldest '}for ${lagText(lagMs)}`
}

function rateText({ sentPerSecond, donePerSecond }: HeldBack): string {
  if (sentPerSecond === undefined || donePerSecond === undefined) return ''
  const come = sentPerSecond > donePerSecond ? `${perSecond(sentPerSecond)} come and ` : '' // else its senders wait, and send by fits
  return `; ${come}${perSecond(donePerSecond)} are done`
}

function perSecond(rate: number): string {
  const rounded = rate >= 10 ? Math.round(rate) : Number(rate.toPrecision(2))
  return `${rounded}/s`
}
