/**
 * Report: a run of the demo of hot swap, as text and as figures.
 * @module
 */
import { chartText, type Row } from '../../../sdk/scaling/index.ts'
import { count, percent, table } from '../text.ts'
import type { Scores } from './scores.ts'
import type { ClickStream } from './stream.ts'

const columns = 72
/** The interval around a change of versions, and the length of the intervals to compare it with. */
const windowMs = 1_000
const models = ['', 'believes the agent', 'looks at what a client does', 'throws without a referrer'] as const

/**
 * A measurement: clicks judged so far by each version, and the longest time without a verdict since the measurement
 * before.
 */
export interface SwapLook {
  readonly atMs: number
  readonly clicks: readonly number[]
  readonly gapMs: number
}

export interface SwapRun {
  readonly stream: Pick<ClickStream, 'scores' | 'sent' | 'missed' | 'startedMs'>
  readonly looks: readonly SwapLook[]
  readonly seconds: number
  /** When the second version was deployed. */
  readonly swapAskedMs: number
  /** From the last call into the old version to the first into the new one, measured by the runner. */
  readonly pauseMs: number
  readonly canary: { readonly state: string; readonly reason: string }
  readonly versionAtEnd: number
}

export type SwapFigures = ReturnType<typeof figuresOf>

export function figuresOf({ stream, swapAskedMs, pauseMs, canary, versionAtEnd, seconds }: SwapRun) {
  const { scores, sent, missed, startedMs } = stream
  const changedMs = scores.firstAtMs.get(2) ?? Number.NaN
  const usual = usualGapsMs(scores, startedMs + windowMs, swapAskedMs)
  const versions = [1, 2, 3].map((version) => {
    const { found, frauds, right, precision, recall } = scores.qualityOf(version)
    return { version, clicks: scores.clicks.get(version) ?? 0, found, frauds, right, precision, recall }
  })
  return {
    ...{ seconds, sent, received: scores.received, missed, repeated: scores.repeated },
    lost: Math.max(scores.lost, sent - (scores.received - scores.repeated)),
    versions,
    pauseMs,
    /** The longest time without a verdict in the second around the change, and in the seconds before it. */
    gapMs: round(scores.longestGapMs(changedMs - windowMs / 2, changedMs + windowMs / 2)),
    usualGapMs: { median: usual[Math.floor(usual.length / 2)] ?? 0, most: usual.at(-1) ?? 0 },
    canary,
    versionAtEnd,
    latencyMs: { p50: scores.latencies.quantile(0.5), p99: scores.latencies.quantile(0.99) },
  }
}

/** Ascending. */
function usualGapsMs(scores: Scores, fromMs: number, toMs: number): number[] {
  const windows = Math.max(0, Math.floor((toMs - fromMs) / windowMs))
  const gaps = Array.from({ length: windows }, (_, i) => {
    const startMs = fromMs + i * windowMs
    return round(scores.longestGapMs(startMs, startMs + windowMs))
  })
  return gaps.sort((a, b) => a - b)
}

export function storyText(run: SwapRun): string {
  const figures = figuresOf(run)
  const { versions, pauseMs, gapMs, usualGapMs, canary, latencyMs, sent, received, lost, repeated } = figures
  const rows = versions.map(({ version, clicks, found, frauds, right, precision, recall }) => [
    `v${version}`,
    models[version]!,
    clicks,
    ...(version === 3
      ? ['', '', '', '']
      : [found, `${count(right)} of ${count(frauds)}`, percent(precision), percent(recall)]),
  ])
  return [
    '',
    chartText(rowsOf(run), columns),
    '',
    table([['', 'score', 'clicks', 'called fraud', 'right', 'precision', 'recall'], ...rows]),
    '',
    `v1 → v2  in place, in ${pauseMs.toFixed(1)} ms. Longest time without a verdict in the second around it: ${gapMs} ms; in each second before: ${usualGapMs.median}, at most ${usualGapMs.most}`,
    `v2 → v3  ${canary.state === 'failed' ? 'rolled back' : canary.state} ${canary.reason}`,
    '',
    `${count(sent)} clicks, ${count(received)} verdicts: ${count(lost)} lost, ${count(repeated)} judged twice or out of order; v${figures.versionAtEnd} is at work`,
    `latency from click to verdict: p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms`,
  ].join('\n')
}

function rowsOf({ looks }: SwapRun): Row[] {
  const since = (i: number, version: number) =>
    (looks[i]!.clicks[version]! - (looks[i - 1]?.clicks[version] ?? 0)) /
    ((looks[i]!.atMs - (looks[i - 1]?.atMs ?? Number.NEGATIVE_INFINITY)) / 1000)
  const rates = [0, 1, 2].map((version) => ({
    name: `v${version + 1}`,
    values: looks.map((_, i) => since(i, version)),
    unit: ' clicks/s',
  }))
  return [...rates, { name: 'no verdict for', values: looks.map(({ gapMs }) => gapMs), unit: ' ms' }]
}

/** What went wrong, one line each. */
export function complaintsOf(run: SwapRun): string[] {
  const { lost, repeated, missed, canary, versionAtEnd, versions } = figuresOf(run)
  const complaints = [
    lost > 0 && `Missing: ${count(lost)} clicks have no verdict`,
    missed > 0 && `Missing: the gateway passed ${count(missed)} verdicts over`,
    repeated > 0 && `Wrong: ${count(repeated)} verdicts with a count that state had given before`,
    canary.state !== 'failed' && `Wrong: the bad version is '${canary.state}', and was to be rolled back`,
    versionAtEnd !== 2 && `Wrong: version ${versionAtEnd} is at work at the end, and not 2`,
    versions.some(({ clicks }) => clicks === 0) && 'Wrong: a version has judged nothing',
  ]
  return complaints.filter((complaint) => complaint !== false)
}

/** How good a version's verdicts were, in a few words. */
export function worthText(scores: Scores, version: number): string {
  const { precision, recall, frauds, right } = scores.qualityOf(version)
  return `${count(scores.clicks.get(version) ?? 0)} clicks, precision ${percent(precision)}, recall ${percent(recall)} (${right} of ${frauds} frauds)`
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
