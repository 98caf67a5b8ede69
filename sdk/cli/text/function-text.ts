/**
 * FunctionText: the text of `concord fn inspect`.
 * @module
 */
import type { FunctionDetail, Instance, Ledger } from '../../api/index.ts'
import { instancesPerRunnerOf } from '../../manifest/limits.ts'
import { quantileOf } from '../../wire/user-metrics.ts'
import { bold, bytesText, dim, red, table } from '../terminal.ts'
import { canaryText } from './canary-text.ts'
import { heldBackText } from './held-back-text.ts'
import { ledgerTable } from './ledger-text.ts'
import { memoryTable, mibText } from './memory-text.ts'
import { placeText } from './place-text.ts'
import { rollingText } from './rolling-text.ts'
import { shadowText } from './shadow-text.ts'
import { versionText } from './version-text.ts'

/** After this long, the last end or error of an instance that works is no longer shown. */
const pastMs = 600_000

export function detailText(detail: FunctionDetail): string {
  const parts = [
    detail.noScheduler ?? detail.noStore ?? '',
    detail.unheard ?? detail.noJetStream ?? '',
    headText(detail),
    detail.canary === undefined ? '' : canaryText(detail.canary, Date.now()),
    detail.shadow === undefined ? '' : shadowText(detail.shadow),
    detail.rolling === undefined ? '' : rollingText(detail.rolling, Date.now()),
    detail.instances.length === 0 ? 'No instances.' : instancesTable(detail),
    memoryTable(detail.instances),
    checkpointsTable(detail.instances),
    instancesPerRunnerOf(detail.manifest) === undefined ? '' : runnersTable(detail.instances),
    detail.ledger.length === 0 ? '' : inputsText(detail.ledger, detail.settling),
    heldBackText(detail.heldBackBy),
    deadLettersText(detail),
    metricsTable(detail),
    ...detail.instances.flatMap(troubleText),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

function headText(detail: FunctionDetail): string {
  const { name, state, manifest, instancesRunning, instancesWanted } = detail
  const { cpus, memMib, diskMib, ports } = manifest.resources
  const more = ports === undefined ? '' : `, ${ports} ports`
  const inputs = Object.entries(manifest.istreams).map(([stream, { grouping }]) => `${stream} (${grouping})`)
  return [
    `${bold(name)} ${versionText(detail)}: ${state}, ${instancesRunning} of ${instancesWanted} instances running`,
    `  in        ${inputs.join(', ') || '-'}`,
    `  out       ${manifest.ostreams.join(', ') || '-'}`,
    `  on error  ${policyText(manifest.onError)}`,
    `  gets      ${cpus} cpus, ${memMib} MiB memory, ${diskMib} MiB disk${more} per instance`,
    ...packingText(manifest),
    ...movedText(detail),
    ...assetsText(detail.assets),
    `  deployed  ${new Date(detail.deployedAtMs).toISOString()}, bundle ${detail.bundleSha256.slice(0, 12)}`,
  ].join('\n')
}

/** @param assets Undefined if an earlier gateway does not report them. */
function assetsText(assets: FunctionDetail['assets'] = {}): string[] {
  const named = Object.entries(assets).map(([name, { bytes }]) => `${name} (${bytesText(bytes)})`)
  return named.length === 0 ? [] : [`  assets    ${named.join(', ')}`]
}

function packingText(manifest: FunctionDetail['manifest']): string[] {
  const room = instancesPerRunnerOf(manifest)
  if (room === undefined) return []
  const mates = manifest.pack === undefined ? '' : `, shared by the pack '${manifest.pack}'`
  return [`  runners   up to ${room} instances each${mates}`]
}

/** Where partitions were moved by hand, and which of them have not arrived there. */
function movedText({ homes: moved = [], instances }: FunctionDetail): string[] {
  if (moved.length === 0) return []
  const has = (id: string, partition: number): boolean =>
    instances.some((one) => one.id === id && one.partitions?.includes(partition) === true)
  const text = moved.map(({ partition, instance }) => {
    const absent = instances.some(({ id }) => id === instance) ? ' (on its way)' : ' (not wanted now)'
    return `${partition} to ${instance}${has(instance, partition) ? '' : absent}`
  })
  return [`  moved     ${text.join(', ')}`]
}

/** The runners of packed instances, if several rows of the table are one process. */
function runnersTable(instances: readonly Instance[]): string {
  const runners = new Map<string, Instance[]>()
  for (const instance of instances) {
    if (instance.taskId === undefined) continue
    runners.set(instance.taskId, [...(runners.get(instance.taskId) ?? []), instance])
  }
  const rows = [...runners].map(([taskId, seated]) => [
    taskId,
    seated[0]?.hostname ?? '-',
    seated[0]?.pid ?? '-',
    seated[0]?.rssBytes === undefined ? '-' : mibText(seated[0].rssBytes, boundMibOf(seated[0])),
    seated.map(({ id }) => id).join(' '),
  ])
  return rows.length === 0 ? '' : table([['RUNNER', 'HOST', 'PID', 'MEMORY', 'INSTANCES'], ...rows])
}

function policyText(policy: FunctionDetail['manifest']['onError']): string {
  return typeof policy === 'string' ? policy : `retry ${policy.retry} times, then ${policy.then}`
}

function instancesTable({ instances, manifest }: FunctionDetail): string {
  const isRetried = instances.some(({ retries = 0 }) => retries > 0)
  const isMigrating = instances.some(({ migrating = 0 }) => migrating > 0)
  const rows = instances.map((instance) => [
    instance.id,
    instance.state,
    `v${instance.version}`,
    instance.pid ?? '-',
    instance.restarts,
    instance.recordsIn,
    instance.recordsOut,
    ...(isRetried ? [instance.retries ?? 0] : []),
    instance.errors,
    instance.stateEntries,
    ...(isMigrating ? [partitionsText(instance.migrating ?? 0)] : []),
    instance.heapBytes === undefined ? '-' : mibText(instance.heapBytes, manifest.limits.heapMib),
    instance.rssBytes === undefined ? '-' : mibText(instance.rssBytes, boundMibOf(instance)),
  ])
  const columns = ['INSTANCE', 'STATE', 'VERSION', 'PID', 'RESTARTS', 'IN', 'OUT']
  // An entry exists twice while its earlier format must stay readable.
  const state = isMigrating ? ['ENTRIES, OLD AND NEW', 'TO MIGRATE'] : ['ENTRIES']
  return table([
    [...columns, ...(isRetried ? ['RETRIES'] : []), 'ERRORS', ...state, 'HEAP', 'MEMORY'],
    ...rows,
  ])
}

function boundMibOf({ memory }: Instance): number | undefined {
  return memory && Math.round(memory.boundBytes / 2 ** 20)
}

function partitionsText(partitions: number): string {
  return partitions === 1 ? '1 partition' : `${partitions} partitions`
}

/** The checkpoints of the instances that have state, or cannot store it. */
function checkpointsTable(instances: readonly Instance[]): string {
  const rows = instances.flatMap(({ id, checkpoint }) => {
    if (checkpoint === undefined || (checkpoint.storedBytes === 0 && checkpoint.error === undefined))
      return []
    const { atMs, ageMs, tookMs = 0, storedBytes, writtenBytesTotal: written, error } = checkpoint
    const lag =
      atMs === undefined
        ? 'none yet'
        : `${((ageMs ?? Math.max(0, Date.now() - atMs)) / 1000).toFixed(1)} s ago`
    return [[id, lag, `${Math.round(tookMs)} ms`, bytesText(storedBytes), bytesText(written), error ?? '']]
  })
  return rows.length === 0
    ? ''
    : table([['CHECKPOINT', 'LAST', 'TOOK', 'STORED', 'WRITTEN SO FAR', 'ERROR'], ...rows])
}

function inputsText(ledger: readonly Ledger[], settling: readonly string[] = []): string {
  const rows = ledger.map((row) => ({ cells: [row.stream], row }))
  const follows = settling.map(
    (id) => `What ${id} sent last may follow: nothing is heard of it, and its receivers are asked.`,
  )
  return [ledgerTable(['INPUT'], rows), ...follows].join('\n')
}

/** An earlier gateway reports none. */
function metricsTable({ metrics = [], metricsSinceMs, instances }: FunctionDetail): string {
  const rows = metrics.map((metric) => {
    if (metric.kind === 'count') return [metric.name, metric.sum, '', '', '', '', '']
    const { name, count, sum, min, max } = metric
    return [
      ...[name, count, figure(sum / count), figure(min)],
      ...[0.5, 0.99].map((share) => figure(quantileOf(metric, share))),
      figure(max),
    ]
  })
  const since = metricsSinceMs === undefined ? '' : new Date(metricsSinceMs).toISOString()
  const whose =
    instances.length > 1 ? 'by each instance since its start, the latest' : 'since the start of its instance,'
  const told = since === '' ? [] : [`Counted ${whose} at ${since}.`]
  return rows.length === 0
    ? ''
    : [table([['METRIC', 'COUNT', 'MEAN', 'MIN', 'P50 ≤', 'P99 ≤', 'MAX'], ...rows]), ...told].join('\n')
}

/** Rounds to four digits. */
function figure(value: number): string {
  return String(Number(value.toPrecision(4)))
}

function deadLettersText({ name, deadLetters }: FunctionDetail): string {
  if (deadLetters === undefined || deadLetters.waiting + deadLetters.redriven === 0) return ''
  const { waiting, redriven } = deadLetters
  const also = redriven === 0 ? '' : `, ${redriven} redriven`
  return `Dead letters: ${waiting} waiting${also}; see \`concord dlq ls ${name}\``
}

/**
 * What waits, what keeps an instance from running, how it ended last, its last change of versions, and its last
 * error.
 */
function troubleText(instance: Instance): string[] {
  const { id, why, lastExit, lastError, swap, swapPauseMs, setAside = 0, throttledMs = 0 } = instance
  const dropped = Object.entries(instance.timersDropped ?? {})
  const lines: string[] = []
  if (swap?.state === 'failed') lines.push(`${id}: v${swap.version} did not take over: ${swap.reason}`)
  else if (swap?.state === 'onTrial')
    lines.push(`${id}: v${swap.version} is on trial, ${swap.records ?? 0} records so far`)
  else if (swap !== undefined) lines.push(`${id}: v${swap.version} is being prepared`)
  if (swapPauseMs !== undefined)
    lines.push(`${id}: the last change of version paused it for ${swapPauseMs.toFixed(1)} ms`)
  if (throttledMs > 0)
    lines.push(`${id}: slowed down for ${(throttledMs / 1000).toFixed(1)} s in all by limits.cpuMsPerSecond`)
  if (dropped.length > 0)
    lines.push(`${id}: timers given up: ${dropped.map(([how, timers]) => `${timers} ${how}`).join(', ')}`)
  if (setAside > 0) lines.push(`${id}: ${setAside} record${setAside === 1 ? ' waits' : 's wait'} for a retry`)
  if (why !== undefined) lines.push(`${id}: ${why}`)
  if (lastExit !== undefined) {
    const since = instance.state === 'running' ? ', and has worked since' : ''
    const text = `${id} last ended ${agoText(lastExit.atMs)}${since}: ${lastExit.reason}: ${lastExit.message}`
    lines.push(isPast(instance, lastExit.atMs) ? dim(text) : text)
  }
  if (lastError !== undefined) {
    const at = placeText(lastError)
    const by = lastError.timer === undefined ? '' : ` (timer '${lastError.timer.key}')`
    const head = `${id} last error`
    const text = `, ${agoText(lastError.timeMs)}: ${lastError.name}: ${lastError.message}${at}${by}`
    lines.push(isPast(instance, lastError.timeMs) ? dim(head + text) : red(head) + text)
  }
  return lines.length === 0 ? [] : [lines.join('\n')]
}

/** Whether an instance has worked for long enough that earlier trouble is over. */
function isPast({ state }: Instance, atMs: number): boolean {
  return state === 'running' && Date.now() - atMs > pastMs
}

/** A time, and how long ago that is. */
function agoText(atMs: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - atMs) / 1000))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60)]
  const ago =
    hours > 47
      ? `${Math.floor(hours / 24)} days`
      : hours > 1
        ? `${hours} h`
        : minutes > 1
          ? `${minutes} min`
          : `${seconds} s`
  return `${ago} ago (${new Date(atMs).toISOString()})`
}
