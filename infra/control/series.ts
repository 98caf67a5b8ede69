/**
 * Series: the heartbeats of one process over the last seconds, and the differences between the first and the last.
 *
 *   SR1. An instance that started in between counts from its own start.
 *   SR2. A process that set its clock back counts from then on.
 *   SR3. Of earlier heartbeats only what rates are made of is kept; `lean`, without calls and metrics: a gateway hears every process
 *        of the namespace, and shows neither.
 * @module
 */
import type { Observed } from '../../sdk/wire/user-metrics.ts'
import { functionOfConsumer } from './consumer.ts'
import type { OutputLedger } from './messages/accounts.ts'
import type { Heartbeat, InstanceReport, WorkReport } from './messages/heartbeat.ts'

/** The period over which rates are computed. */
const overMs = 3_000
/** A heartbeat replaces an earlier one that is nearer than this. */
const apartMs = 500

/** An instance's rates a second. */
export interface InstanceRates {
  readonly report: InstanceReport
  readonly recordsIn: number
  /** Shares of time. */
  readonly busy: number
  readonly blocked: number
  readonly cpu: number
  /** The seconds observed. */
  readonly seconds: number
  /** Calls in that time. */
  readonly calls: readonly (readonly [bucket: number, records: number])[]
  /** The growth of the requested metric: its count and its sum. */
  readonly counted: number
  readonly summed: number
}

export interface OutputRates {
  readonly stream: string
  readonly consumer: string
  /** The function, for an instance's outputs. */
  readonly function?: string
  readonly sent: number
  /** Acknowledged: processed or dropped. */
  readonly acked: number
  readonly inFlight: number
}

/** What is kept of an earlier report. */
type EarlierReport = Pick<InstanceReport, 'id' | 'work' | 'recordsIn' | 'cpuSeconds' | 'metrics'> & {
  readonly outputs: readonly EarlierRow[]
}
type EarlierRow = Pick<OutputLedger, 'stream' | 'consumer' | 'sent' | 'acked'>

interface Earlier {
  readonly sentAtMs: number
  readonly instances: readonly EarlierReport[]
  readonly outputs: readonly EarlierRow[]
}

export class Series {
  readonly #lean: boolean
  /** Oldest first, without the last one. */
  #earlier: Earlier[] = []
  #last: Heartbeat | undefined
  heardAtMs = 0

  constructor({ lean = false } = {}) {
    this.#lean = lean
  }

  hear(beat: Heartbeat, nowMs: number): void {
    this.heardAtMs = nowMs
    const last = this.#last
    this.#last = beat
    if (last?.incarnation !== beat.incarnation || beat.sentAtMs < last.sentAtMs) {
      this.#earlier = []
      return
    }
    const before = this.#earlier.at(-1)
    if (before === undefined || last.sentAtMs - before.sentAtMs >= apartMs)
      this.#earlier.push(earlier(last, this.#lean))
    while (this.#earlier.length > 1 && beat.sentAtMs - this.#earlier[1]!.sentAtMs >= overMs)
      this.#earlier.shift()
  }

  get last(): Heartbeat | undefined {
    return this.#last
  }

  /** The time over which rates are computed; 0 after one heartbeat. */
  get seconds(): number {
    const first = this.#earlier[0]
    return first === undefined ? 0 : (this.#last!.sentAtMs - first.sentAtMs) / 1000
  }

  /** Working instances. @param metricOf Returns the name of the metric that counts for a function. */
  *instances(metricOf: (name: string) => string | undefined): Generator<InstanceRates> {
    const [first] = this.#earlier
    for (const report of this.#last?.instances ?? []) {
      if (report.state !== 'running' && report.state !== 'draining') continue
      const before = first === undefined ? report : reportBefore(first, report)
      yield ratesOf(report, before, metricOf(report.function))
    }
  }

  /** What the process sends to each reader. */
  *outputs(): Generator<OutputRates> {
    const [first, last, seconds] = [this.#earlier[0], this.#last, this.seconds]
    if (last === undefined) return
    const grown = (now: number, then = 0): number => (seconds <= 0 ? 0 : Math.max(0, now - then) / seconds)
    const rates = (row: OutputLedger, before: EarlierRow | undefined, from?: string): OutputRates => ({
      ...{ stream: row.stream, consumer: functionOfConsumer(row.consumer) },
      ...(from !== undefined && { function: from }),
      ...{ sent: grown(row.sent, before?.sent), acked: grown(row.acked, before?.acked) },
      inFlight: Math.max(0, row.sent - row.acked - row.unaccounted),
    })
    for (const row of last.outputs ?? []) yield rates(row, sameRow(first?.outputs, row))
    for (const report of last.instances) {
      const before = first && reportBefore(first, report)
      for (const row of report.outputs) yield rates(row, sameRow(before?.outputs, row), report.function)
    }
  }
}

/** SR1. */
function reportBefore({ instances }: Earlier, { id, work }: InstanceReport): EarlierReport | undefined {
  const elapsedMs = work?.elapsedMs ?? 0
  return instances.find((one) => one.id === id && (one.work?.elapsedMs ?? 0) <= elapsedMs)
}

function earlier({ sentAtMs, instances, outputs = [] }: Heartbeat, lean: boolean): Earlier {
  const rowOf = ({ stream, consumer, sent, acked }: OutputLedger): EarlierRow => ({
    ...{ stream, consumer, sent, acked },
  })
  const workOf = ({ elapsedMs, idleMs, blockedMs }: WorkReport): WorkReport => ({
    elapsedMs,
    idleMs,
    blockedMs,
  })
  return {
    ...{ sentAtMs, outputs: outputs.map(rowOf) },
    instances: instances.map(({ id, work, recordsIn, cpuSeconds, metrics, outputs: rows }) => ({
      ...{ id, recordsIn, cpuSeconds, outputs: rows.map(rowOf) },
      ...(lean ? { work: work && workOf(work) } : { work, metrics }),
    })),
  } as Earlier
}

function sameRow(rows: readonly EarlierRow[] | undefined, row: EarlierRow): EarlierRow | undefined {
  return rows?.find(({ stream, consumer }) => stream === row.stream && consumer === row.consumer)
}

function ratesOf(
  report: InstanceReport,
  before: EarlierReport | undefined,
  metric: string | undefined,
): InstanceRates {
  const [work, workBefore] = [report.work, before?.work]
  const since = (of: (work: NonNullable<InstanceReport['work']>) => number): number =>
    work === undefined ? 0 : of(work) - (workBefore === undefined ? 0 : of(workBefore))
  const elapsedMs = since((each) => each.elapsedMs)
  const seconds = elapsedMs / 1000
  const share = (ms: number): number => (elapsedMs <= 0 ? 0 : Math.min(1, Math.max(0, ms / elapsedMs)))
  const grown = (now: number, then: number): number => (seconds <= 0 ? 0 : Math.max(0, now - then) / seconds)
  const idle = share(since((each) => each.idleMs))
  const blocked = share(since((each) => each.blockedMs))
  const [now, then] = [metricOf(report, metric), metricOf(before, metric)]
  return {
    report,
    recordsIn: grown(report.recordsIn, before?.recordsIn ?? 0),
    busy: elapsedMs <= 0 ? 0 : Math.max(0, 1 - idle - blocked),
    blocked,
    cpu: grown(report.cpuSeconds, before?.cpuSeconds ?? 0),
    seconds,
    calls: callsSince(work?.calls, workBefore?.calls),
    counted: grown(now.count, then.count),
    summed: grown(now.sum, then.sum),
  }
}

function metricOf(report: Pick<InstanceReport, 'metrics'> | undefined, name: string | undefined) {
  const found = name === undefined ? undefined : report?.metrics?.find((metric) => metric.name === name)
  if (found === undefined) return { count: 0, sum: 0 }
  return { count: found.kind === 'observe' ? found.count : 0, sum: found.sum }
}

function callsSince(now: Observed | undefined, then: Observed | undefined): InstanceRates['calls'] {
  const before = new Map(then?.buckets)
  return (now?.buckets ?? []).map(
    ([bucket, records]) => [bucket, records - (before.get(bucket) ?? 0)] as const,
  )
}
