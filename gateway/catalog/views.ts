/**
 * Views: functions, instances, streams and the topology as the API shows them, from documents and heartbeats. Pure.
 * @module
 */
import type { Heartbeat, InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import type {
  CanaryDocument,
  FunctionDocument,
  InstanceStatus,
  ScalingDocument,
} from '../../infra/store/index.ts'
import type { CanaryView } from '../../sdk/api/canary.ts'
import type {
  DeadLetterCounts,
  FunctionDetail,
  FunctionSummary,
  Instance,
  Scaling,
  StreamSummary,
  Topology,
} from '../../sdk/api/index.ts'
import type { MovedPartition } from '../../sdk/api/moved.ts'
import type { RollingView } from '../../sdk/api/rolling.ts'
import { type CanaryReport, type CanarySide, sumOf } from '../../sdk/versions/canary.ts'
import { MetricSums } from '../../sdk/wire/user-metrics.ts'
import type { Accounts } from './accounts.ts'
import type { CatalogView, LiveFunction, Stream } from './catalog.ts'
import { type Heartbeats, reportOf } from './heartbeats.ts'
import { ledgerOf } from './ledger.ts'
import { isShadow } from './shadow-view.ts'

export function functionSummary(live: LiveFunction, heartbeats: Heartbeats): FunctionSummary {
  const { manifest, version } = live.version
  const ended = live.status?.ended ?? { recordsIn: 0, recordsOut: 0, errors: 0 }
  const reports = (live.status?.instances ?? []).map((status) => heard(status, heartbeats)?.report)
  const total = (of: (counted: { recordsIn: number; recordsOut: number; errors: number }) => number) =>
    reports.reduce((sum, report) => sum + (report === undefined ? 0 : of(report)), of(ended))
  return {
    name: live.name,
    version,
    ...(live.document.good === undefined ? {} : { live: live.document.good }),
    ...canaryShareOf(live),
    state: stateOf(live, heartbeats),
    instancesWanted: live.document.deleted ? 0 : live.document.instances,
    instancesRunning: instancesRunning(live, heartbeats),
    istreams: Object.keys(manifest.istreams),
    ostreams: [...manifest.ostreams],
    recordsIn: total((counted) => counted.recordsIn),
    recordsOut: total((counted) => counted.recordsOut),
    errors: total((counted) => counted.errors),
  }
}

export function functionDetail(
  live: LiveFunction,
  heartbeats: Heartbeats,
  { outputs, stateLost }: Pick<Accounts, 'outputs' | 'stateLost'>,
  deadLetters?: DeadLetterCounts,
): FunctionDetail {
  const { manifest, bundleSha256, assets = {}, deployedAtMs } = live.version
  return {
    ...functionSummary(live, heartbeats),
    manifest,
    bundleSha256,
    assets,
    deployedAtMs,
    ...(live.document.homes && { homes: movedView(live.name, live.document.homes) }),
    instances: (live.status?.instances ?? []).map((status) => instanceView(status, heartbeats)),
    ...metricsOf(live, heartbeats),
    ...(canaryView(live, heartbeats) ?? {}),
    ...(rollingView(live, heartbeats) ?? {}),
    ledger: ledgerOf(live.name, Object.keys(manifest.istreams), outputs, stateLost),
    ...(deadLetters === undefined ? {} : { deadLetters }),
  }
}

/** Partitions moved by hand: by partition, the index of an instance. */
export type Moved = NonNullable<FunctionDocument['homes']>

export function movedView(name: string, moved: Moved): MovedPartition[] {
  return Object.entries(moved).map(([partition, index]) => ({
    partition: Number(partition),
    instance: `${name}-${index}`,
  }))
}

export function scalingView(
  live: LiveFunction,
  heartbeats: Heartbeats,
  kept: ScalingDocument | undefined,
): Scaling {
  const { name, instancesWanted, instancesRunning } = functionSummary(live, heartbeats)
  const policy = live.version.manifest.scale
  return {
    ...{ name, instancesWanted, instancesRunning },
    ...(policy && { policy }),
    pinned: live.document.pinned === true,
    changes: [...(kept?.changes ?? []), ...(live.document.scaled ?? [])].sort((a, b) => a.atMs - b.atMs),
    ...(kept?.latest && { latest: kept.latest }),
  }
}

function metricsOf(
  { status }: LiveFunction,
  heartbeats: Heartbeats,
): Pick<FunctionDetail, 'metrics' | 'metricsSinceMs'> {
  const sums = new MetricSums()
  const since: number[] = []
  for (const instance of status?.instances ?? []) {
    const { metrics = [], metricsSinceMs } = heard(instance, heartbeats)?.report ?? {}
    sums.merge(metrics)
    if (metricsSinceMs !== undefined) since.push(metricsSinceMs)
  }
  const metrics = sums.reports()
  return { metrics, ...(metrics.length > 0 && since.length > 0 && { metricsSinceMs: Math.max(...since) }) }
}

export function streamSummary({ name, document, producers, consumers }: Stream): StreamSummary {
  const { partitions, raw } = document
  return { name, partitions, raw, producers: [...producers], consumers: [...consumers] }
}

export function topology(view: CatalogView, heartbeats: Heartbeats): Topology {
  return {
    functions: [...view.functions.values()].map((live) => functionSummary(live, heartbeats)),
    streams: [...view.streams.values()].map(streamSummary),
  }
}

/**
 * How many instances run. While a version takes over, those of the version before count too; but where both run beside
 * each other for a moment, that is not more than are wanted.
 */
function instancesRunning(live: LiveFunction, heartbeats: Heartbeats): number {
  const { version, good, instances } = live.document
  const both = runningWith(live, heartbeats, [good, version]).length
  return Math.max(running(live, heartbeats).length, Math.min(both, instances))
}

/** The instances that run the wanted version or the one beside it; in a rolling deploy, either of the two. */
function running(live: LiveFunction, heartbeats: Heartbeats): readonly InstanceStatus[] {
  const { version, good } = live.document
  const isBeside = isCanary(live.document) || isShadow(live)
  const versions = isBeside ? [good] : isRolling(live.document) ? [good, version] : [version]
  return runningWith(live, heartbeats, versions)
}

function runningWith(
  { status }: LiveFunction,
  heartbeats: Heartbeats,
  versions: readonly (number | undefined)[],
): readonly InstanceStatus[] {
  return (status?.instances ?? []).filter(
    (instance) => stateNow(instance, heartbeats) === 'running' && versions.includes(instance.version),
  )
}

/** The tasks whose heartbeats are needed to show these functions. */
export function tasksAtWork(functions: Iterable<LiveFunction>): string[] {
  const instances = [...functions].flatMap(({ status }) => status?.instances ?? [])
  return instances.flatMap(({ state, taskId }) => (state === 'running' && taskId ? [taskId] : []))
}

/**
 * An instance's state. One that was running by the status, but was not heard since this gateway began, may be gone
 * with its machine, so it is shown as starting.
 */
export function stateNow(
  { state, taskId }: InstanceStatus,
  heartbeats: Pick<Heartbeats, 'confirms'>,
): InstanceStatus['state'] {
  return state === 'running' && !heartbeats.confirms(taskId) ? 'starting' : state
}

function stateOf(live: LiveFunction, heartbeats: Heartbeats): FunctionSummary['state'] {
  const { document, status } = live
  const states = new Set((status?.instances ?? []).map(({ state }) => state))
  const runningCount = running(live, heartbeats).length
  if (document.deleted) return 'deleting'
  if (states.has('crashLooping')) return 'crashLooping'
  if (document.instances === 0) return 'stopped'
  const beside = isCanary(document) ? 'canary' : isShadow(live) ? 'shadow' : undefined
  const rolling = isRolling(document) ? 'rolling' : undefined
  if (runningCount >= document.instances) return beside ?? rolling ?? 'running'
  if (states.has('swapping')) return rolling ?? 'swapping'
  if (isBeingReplaced(live, heartbeats)) return rolling ?? 'swapping'
  if (states.has('backingOff')) return 'degraded'
  if (states.has('waiting')) return runningCount > 0 ? 'degraded' : 'waiting'
  return rolling ?? 'starting'
}

/**
 * Whether the previous version still works in all wanted instances, until the new ones beside them have taken the
 * partitions.
 */
function isBeingReplaced({ document, status }: LiveFunction, heartbeats: Heartbeats): boolean {
  const { version, good, instances } = document
  const before = (status?.instances ?? []).filter(
    (one) => one.version === good && stateNow(one, heartbeats) === 'running',
  )
  return good !== version && before.length >= instances
}

/** Whether the wanted version is a canary. */
export function isCanary({ version, canary }: LiveFunction['document']): boolean {
  return canary?.version === version && canary.promoted !== true
}

function canaryShareOf({ document, version }: LiveFunction): Pick<FunctionSummary, 'canaryPercent'> {
  const percent = version.manifest.rollout?.canary?.steps[document.canary?.step ?? 0]
  return isCanary(document) && percent !== undefined ? { canaryPercent: percent } : {}
}

/** Whether the wanted version is being deployed in waves. */
export function isRolling({ version, good, rolling }: LiveFunction['document']): boolean {
  return rolling?.version === version && good !== undefined && good !== version
}

function rollingView(live: LiveFunction, heartbeats: Heartbeats): { rolling: RollingView } | undefined {
  const { document, version } = live
  const { rolling: at, good: from } = document
  const width = version.manifest.rollout?.rolling
  if (!isRolling(document) || at === undefined || from === undefined || width === undefined) return undefined
  const working = running(live, heartbeats).filter((one) => one.version === at.version).length
  const { version: number, wave, sinceMs, indexes } = at
  return {
    rolling: {
      ...{ version: number, from, width, wave, sinceMs, working, wanted: document.instances },
      instances: indexes.map((index) => `${live.name}-${index}`),
      ...(at.homes !== undefined && { isBound: true }),
    },
  }
}

function canaryView(live: LiveFunction, heartbeats: Heartbeats): { canary: CanaryView } | undefined {
  const { document, status, version } = live
  const { canary: at, good } = document
  const rules = version.manifest.rollout?.canary
  if (!isCanary(document) || at === undefined || good === undefined || rules === undefined) return undefined
  const instances = (status?.instances ?? []).map((one) => ({
    one,
    report: canaryReportOf(one, at, heartbeats),
  }))
  const ours = instances.flatMap(({ report }) => report ?? [])
  const waitsFor = instances
    .filter(({ one, report }) => one.retiring !== true && report?.state !== 'working')
    .map(
      ({ one, report }) =>
        `${one.id}: ${report === undefined ? withoutCanary(one, heartbeats) : report.state}`,
    )
  if (document.instances === 0) waitsFor.push('an instance: none is wanted')
  const { canary, control, canaryP99Us, controlP99Us, windows, slower, diff } = sumOf(
    ours.map(({ evidence }) => evidence),
  )
  const sideOf = ({ records, errors, outputs, ms }: CanarySide) => ({ records, errors, outputs, ms })
  const { version: number, step, sinceMs, passed } = at
  const { steps, bakeMs, minRecords, maxErrors } = rules
  return {
    canary: {
      ...{ version: number, from: good, step, steps: [...steps], percent: steps[step] ?? 100 },
      ...{ sinceMs, bakeMs, minRecords, maxErrors, passed: [...passed], waitsFor },
      ...{ canaryP99Us, controlP99Us },
      ...{ windows, slower, ...(diff === undefined ? {} : { diff }) },
      canary: sideOf(canary),
      control: sideOf(control),
    },
  }
}

/** An instance's canary report, if it is about this step. */
function canaryReportOf(
  one: InstanceStatus,
  { version, step }: CanaryDocument,
  heartbeats: Heartbeats,
): CanaryReport | undefined {
  const report = heard(one, heartbeats)?.report.canary
  return report?.version === version && report.step === step ? report : undefined
}

/** Why an instance has no canary yet. */
function withoutCanary(one: InstanceStatus, heartbeats: Heartbeats): string {
  const state = stateNow(one, heartbeats)
  if (state !== 'running') return one.why === undefined ? state : `${state}, ${one.why}`
  return 'it has not been told of this step yet, or has not said so'
}

interface Heard {
  readonly beat: Heartbeat
  readonly report: InstanceReport
}

function heard(status: InstanceStatus, heartbeats: Heartbeats): Heard | undefined {
  const beat = status.taskId === undefined ? undefined : heartbeats.of(status.taskId)
  const report = reportOf(beat, status)
  return beat === undefined || report === undefined ? undefined : { beat, report }
}

/** With its age by the runner's clock: others may differ from it by hours. */
function checkpointOf(told: Heard | undefined, heartbeats: Heartbeats): Instance['checkpoint'] {
  const checkpoint = told?.report.checkpoint
  if (told === undefined || checkpoint?.atMs === undefined) return checkpoint
  return { ...checkpoint, ageMs: heartbeats.agoMs(told.beat, checkpoint.atMs) }
}

function instanceView(status: InstanceStatus, heartbeats: Heartbeats): Instance {
  const told = heard(status, heartbeats)
  const { beat, report } = told ?? {}
  const { id, index, version, epoch, restarts, taskId, agent, hostname, why, placed, lastExit } = status
  const { shares: partitions } = status
  const state = stateNow(status, heartbeats)
  return withoutUndefined({
    ...{ id, index, version, state, epoch, restarts, taskId, agent, hostname, why, placed, partitions },
    lastExit: lastExit && withoutUndefined(lastExit),
    pid: beat?.pid,
    rssBytes: beat?.rssBytes,
    memory: beat?.memory,
    metricsUrl: beat?.metricsUrl,
    swap: report?.swap,
    swapPauseMs: report?.swapPauseMs,
    tried: report?.tried,
    heapBytes: report?.heapBytes,
    recordsIn: report?.recordsIn ?? 0,
    recordsOut: report?.recordsOut ?? 0,
    errors: report?.errors ?? 0,
    retries: report?.retries ?? 0,
    timersDropped: report?.timersDropped ?? {},
    stateEntries: report?.stateEntries ?? 0,
    migrating: report?.migrating,
    throttledMs: report?.throttledMs ?? 0,
    setAside: report?.setAside ?? 0,
    checkpoint: checkpointOf(told, heartbeats),
    lastError: report?.lastError && errorView(report.lastError),
  }) as Instance
}

function errorView({ name, message, stack, at, timer, timeMs }: NonNullable<InstanceReport['lastError']>) {
  return withoutUndefined({ name, message, stack, at, timer, timeMs })
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T
}
