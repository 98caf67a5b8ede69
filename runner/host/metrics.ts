/**
 * Metrics: a runner's metrics for Prometheus: what its instances have counted, on a port of its own on loopback.
 *
 * Loaded when the instances run, so that it does not delay the start. The address is in the heartbeat and in `fn
 * inspect --json`.
 * @module
 */
import type { InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import {
  Counter,
  emptyRegistry,
  Gauge,
  type Metric,
  type Registry,
  startMetricsServer,
} from '../../infra/metrics.ts'
import type { MemoryReport } from '../../sdk/api/memory-schema.ts'
import { bounds, type Observed } from '../../sdk/wire/user-metrics.ts'

const labelNames = ['function', 'instance'] as const

const counters: Readonly<Record<string, readonly [string, (report: InstanceReport) => number]>> = {
  concord_runner_records_in_total: [
    'Records that callbacks have finished, or that wait for a retry.',
    (r) => r.recordsIn,
  ],
  concord_runner_records_out_total: ['Records that callbacks have produced.', (r) => r.recordsOut],
  concord_runner_errors_total: ['Callbacks that threw, after all retries.', (r) => r.errors],
  concord_runner_retries_total: [
    'Calls of callbacks that were not the first for their record or timer.',
    (r) => r.retries ?? 0,
  ],
  concord_runner_timers_fired_total: ['Timers that were called.', (r) => r.timersFired],
  concord_runner_timers_dropped_total: [
    'Timers that were given up: skipped, dead-lettered, or gone with their instance.',
    (r) => Object.values(r.timersDropped ?? {}).reduce((sum, timers) => sum + timers, 0),
  ],
  concord_runner_batches_total: ['Calls into the isolate.', (r) => r.batches],
  concord_runner_checkpoints_total: ['Checkpoints that were stored.', (r) => r.checkpoint?.made ?? 0],
  concord_runner_checkpoints_failed_total: [
    'Checkpoints that were given up.',
    (r) => r.checkpoint?.failed ?? 0,
  ],
  concord_runner_checkpoint_bytes_total: [
    'Bytes that checkpoints have written.',
    (r) => r.checkpoint?.writtenBytesTotal ?? 0,
  ],
  concord_runner_throttled_seconds_total: [
    'Time that instances were slowed down by limits.cpuMsPerSecond.',
    (r) => (r.throttledMs ?? 0) / 1000,
  ],
  concord_runner_isolate_cpu_seconds_total: [
    'Time in the isolate: its CPU time, and the time that its thread waited for a CPU.',
    (r) => r.cpuSeconds,
  ],
}

const gauges: Readonly<Record<string, readonly [string, (report: InstanceReport) => number]>> = {
  concord_runner_state_bytes: ['Bytes of keyed state.', (r) => r.stateBytes],
  concord_runner_checkpoint_stored_bytes: [
    'Size of the last checkpoint.',
    (r) => r.checkpoint?.storedBytes ?? 0,
  ],
  concord_runner_checkpoint_time_seconds: [
    'When the last checkpoint was taken, in seconds since 1970; 0 before the first.',
    (r) => (r.checkpoint?.atMs ?? 0) / 1000,
  ],
  concord_runner_checkpoint_pause_seconds: [
    'How long the last checkpoint paused the instance.',
    (r) => (r.checkpoint?.pauseMs ?? 0) / 1000,
  ],
  concord_runner_state_lost: [
    'Records whose effects the state lacks.',
    (r) => r.inputs.reduce((sum, { stateLost }) => sum + stateLost, 0),
  ],
  concord_runner_state_entries: ['Entries of keyed state.', (r) => r.stateEntries],
  concord_runner_heap_bytes: ['Heap of the isolate.', (r) => r.heapBytes],
}

/** Serves the current reports and the memory of the process. @returns The address. */
export async function serveMetrics(
  namespace: string,
  reports: () => readonly InstanceReport[],
  memory: () => MemoryReport,
): Promise<string> {
  return (await startMetricsServer({ port: 0, registry: runnerRegistry(namespace, reports, memory) })).url
}

/** The registry that is served. */
export function runnerRegistry(
  namespace: string,
  reports: () => readonly InstanceReport[],
  memory: () => MemoryReport,
): Registry {
  const registry = emptyRegistry({ process: 'runner', namespace })
  addInstances(registry, reports)
  addMemory(registry, memory)
  addUserMetrics(registry, reports)
  return registry
}

function addInstances(registry: Registry, reports: () => readonly InstanceReport[]): void {
  const registers = [registry]
  for (const [name, [help, read]] of Object.entries(counters)) {
    new Counter({
      ...{ name, help, labelNames, registers },
      collect() {
        this.reset()
        for (const report of reports())
          this.inc({ function: report.function, instance: report.id }, read(report))
      },
    })
  }
  for (const [name, [help, read]] of Object.entries(gauges)) {
    new Gauge({
      ...{ name, help, labelNames, registers },
      collect() {
        for (const report of reports())
          this.set({ function: report.function, instance: report.id }, read(report))
      },
    })
  }
}

function addMemory(registry: Registry, memory: () => MemoryReport): void {
  const registers = [registry]
  new Gauge({
    name: 'concord_runner_memory_bytes',
    help: 'Memory of the runner by account; the sum is the resident memory.',
    labelNames: ['account'],
    registers,
    collect() {
      for (const [account, bytes] of Object.entries(memory().accounts)) this.set({ account }, bytes)
    },
  })
  new Gauge({
    name: 'concord_runner_memory_bound_bytes',
    help: 'Memory bound of the runner.',
    registers,
    collect() {
      this.set(memory().boundBytes)
    },
  })
}

/** Adds the metrics of functions (`ctx.metrics`), one of each kind, with their name as a label. */
function addUserMetrics(registry: Registry, reports: () => readonly InstanceReport[]): void {
  const own = (kind: 'count' | 'observe') =>
    reports().flatMap(({ function: name, id, metrics = [] }) =>
      metrics
        .filter((metric) => metric.kind === kind)
        .map((metric) => ({ metric, labels: { function: name, instance: id, metric: metric.name } })),
    )
  new Counter({
    name: 'concord_function_count_total',
    help: 'Counts of ctx.metrics.count.',
    labelNames: [...labelNames, 'metric'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { metric, labels } of own('count')) this.inc(labels, metric.sum)
    },
  })
  const observed: Family = {
    name: 'concord_function_observed',
    help: 'Values of ctx.metrics.observe.',
    type: 'histogram',
    get: async () => ({
      ...observed,
      values: own('observe').flatMap(({ metric, labels }) =>
        metric.kind === 'observe' ? histogramOf(observed.name, labels, metric) : [],
      ),
    }),
  }
  registry.registerMetric(observed as unknown as Metric)
}

/** A metric whose values were counted elsewhere, in prom-client's form. */
interface Family {
  readonly name: string
  readonly help: string
  readonly type: string
  get(): Promise<unknown>
}

/** A Prometheus histogram: its buckets are cumulative. */
function histogramOf(name: string, labels: Readonly<Record<string, string>>, observed: Observed): object[] {
  const { count, sum, buckets } = observed
  const filled = new Map(buckets)
  let below = 0
  const rows = bounds.map((bound, place) => {
    below += filled.get(place) ?? 0
    return { metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: below }
  })
  return [
    ...rows,
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}
