/**
 * ScalingText: the text of `concord fn scale NAME --why`: the policy, the last measurement, and the latest changes
 * with their reasons.
 * @module
 */
import type { Scaling } from '../../api/index.ts'
import { bold, dim, shortNumber, table } from '../terminal.ts'

const changesShown = 20

export function scalingText(scaling: Scaling, nowMs: number): string {
  const { name, instancesWanted, instancesRunning, policy, pinned, changes, latest } = scaling
  const head = `${bold(name)}: ${instancesRunning} of ${instancesWanted} instances run`
  const rule =
    policy === undefined
      ? `It has no policy: 'concord fn scale ${name} N' sets how many. With "scale": { "min": 1, "max": 8 } in its concord.jsonc it follows its load.`
      : policyText(policy)
  const pin = pinned ? `Set by a person; 'concord fn scale ${name} --auto' returns to the policy.` : ''
  const rows = changes
    .slice(-changesShown)
    .reverse()
    .map(({ atMs, from, to, because }) => [new Date(atMs).toISOString(), `${from} → ${to}`, because])
  const list =
    rows.length === 0
      ? dim('Its number has not changed yet.')
      : table([['TIME', 'INSTANCES', 'BECAUSE'], ...rows])
  return [head, rule, pin, latest === undefined ? '' : latestText(latest, nowMs), list]
    .filter((part) => part !== '')
    .join('\n')
}

function policyText({ min, max, targets, schedule, predict }: NonNullable<Scaling['policy']>): string {
  const { behindMs, backlog, recordsPerSecond, cpu, p99Ms, metric } = targets
  const wishes = [
    behindMs !== undefined && `at most ${behindMs} ms behind`,
    backlog !== undefined && `${backlog} records waiting for each`,
    recordsPerSecond !== undefined && `${recordsPerSecond} records/s for each`,
    cpu !== undefined && `${cpu} cores for each`,
    p99Ms !== undefined && `calls of ${p99Ms} ms at p99`,
    metric !== undefined && `${metric.name} at ${metric.value} for each`,
    schedule.length > 0 && `${schedule.length} entries of a schedule`,
    predict !== undefined && `${predict.aheadMs / 1000} s ahead of the load`,
  ]
  return dim(
    `Its policy: ${[`${min} to ${max} instances`, ...wishes.filter((wish) => wish !== false)].join(', ')}`,
  )
}

function latestText({ atMs, because, load }: NonNullable<Scaling['latest']>, nowMs: number): string {
  const { demand, processed, backlog, busy, cpu, p99Ms, startMs } = load
  const figures = [
    `${shortNumber(demand)} records/s come`,
    `${shortNumber(processed)} processed`,
    `${shortNumber(backlog)} wait`,
    `${busy.toFixed(1)} instances busy`,
    `${cpu.toFixed(2)} cores`,
    ...(p99Ms === undefined ? [] : [`p99 ${p99Ms} ms`]),
    ...(startMs === undefined ? [] : [`a start takes ${(startMs / 1000).toFixed(1)} s`]),
  ]
  const age = Math.max(0, Math.round((nowMs - atMs) / 1000))
  return `${age} s ago: ${figures.join(', ')}\n  ${because}`
}
