/**
 * Summary: the figures of a run, as one JSON object and as text.
 * @module
 */
import { type Accounts, type FunctionName, functionNames, type Hop, hopsOf } from './accounts.ts'
import { qualityOf } from './quality.ts'
import type { Source } from './source.ts'
import { count, counted, percent, table } from './text.ts'
import type { Progress } from './traffic-run.ts'

/** What `--json` prints. */
export interface Summary {
  readonly input: { readonly records: number }
  readonly functions: Readonly<
    Record<FunctionName, { readonly in: number; readonly out: number; readonly errors: number }>
  >
  /** Accepted records that are not accounted for at the end of the pipeline. */
  readonly lost: number
  /** From the first line sent to the last verdict seen. */
  readonly seconds: number
  readonly recordsPerSecond: number
  readonly latencyMs: { readonly p50: number; readonly p99: number }
  /** Requests of each client address, as the keyed function counted them. */
  readonly clients: Readonly<Record<string, number>>
}

const reasonsShown = 2

/** A run in which `fn inspect` could be read at least once. */
export type Run = Progress & { readonly accounts: Accounts }

export function isRead(run: Progress): run is Run {
  return run.accounts !== undefined
}

export function summaryOf({ accepted, accounts, tally, startedAtMs }: Run): Summary {
  const seconds = Math.max(0, tally.verdictAtMs - startedAtMs) / 1000
  const figures = functionNames.map((name) => {
    const { handled, out, errors } = accounts[name]
    return [name, { in: handled, out, errors }] as const
  })
  return {
    input: { records: accepted },
    functions: Object.fromEntries(figures) as Summary['functions'],
    lost: hopsOf(accepted, accounts, tally).reduce((sum, hop) => sum + hop.lost, 0),
    seconds: Math.round(seconds * 1000) / 1000,
    recordsPerSecond: seconds === 0 ? 0 : Math.round(tally.verdicts / seconds),
    latencyMs: { p50: tally.latencies.quantile(0.5), p99: tally.latencies.quantile(0.99) },
    clients: Object.fromEntries(tally.clients),
  }
}

/** The summary as text. */
export function describe(run: Run, { labels }: Source): string {
  const { input, functions, lost, seconds, recordsPerSecond, latencyMs, clients } = summaryOf(run)
  const rows = functionNames.map(
    (name) => [name, functions[name].in, functions[name].out, functions[name].errors] as const,
  )
  const { tally } = run
  return [
    '',
    `${count(input.records)} lines in ${seconds.toFixed(1)} s: ${count(recordsPerSecond)} records/s, lost ${count(lost)}`,
    `latency from line to verdict: p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms`,
    '',
    table([['function', 'in', 'out', 'errors'], ...rows]),
    '',
    `${counted(Object.keys(clients).length, 'client')}, ${count(tally.offenders.size)} called fraudulent, ${counted(tally.alerts, 'alert')}`,
    ...(labels === undefined ? [] : [quality(run, labels)]),
    ...offenders(run),
  ].join('\n')
}

/** What is missing, and where, one line each; empty if everything came out. */
export function complaints({ accepted, accounts, tally, refusal }: Run): string[] {
  const missing = hopsOf(accepted, accounts, tally).filter((hop) => hop.lost > 0)
  const silent = tally.frauds - tally.alerted
  return [
    ...(refusal === undefined
      ? []
      : [`The gateway took ${count(accepted)} lines and no more: ${refusal.message}`]),
    ...missing.map(complaint),
    ...(silent > 0 ? [`Missing on alerts: ${counted(silent, 'click')} called fraudulent`] : []),
  ]
}

function complaint({ name, lost, inFlight, unaccounted }: Hop): string {
  return `Missing between ${name}: ${counted(lost, 'record')} (${count(inFlight)} in flight, ${count(unaccounted)} unaccounted)`
}

function quality({ tally }: Run, labels: ReadonlyMap<string, boolean>): string {
  const { precision, recall, found, frauds, right } = qualityOf(labels, (client) =>
    tally.offenders.has(client),
  )
  return [
    `precision ${percent(precision)}: of ${counted(found, 'client')} called fraudulent, ${count(right)} rightly`,
    `recall ${percent(recall)}: of ${counted(frauds, 'fraud')}, ${count(right)} found`,
  ].join('\n')
}

function offenders({ tally }: Run): string[] {
  const top = tally.topOffenders(5)
  if (top.length === 0) return []
  const rows = top.map(
    ({ client, flagged, worst }) =>
      [client, flagged, worst.score.toFixed(2), strongest(worst.reasons)] as const,
  )
  return ['', table([['top offenders', 'flagged', 'worst', 'why'], ...rows])]
}

/** Shortened, so that a row fits on a terminal. */
function strongest(reasons: readonly string[]): string {
  const more = reasons.length - reasonsShown
  return `${reasons.slice(0, reasonsShown).join('; ')}${more > 0 ? `; ${more} more` : ''}`
}
