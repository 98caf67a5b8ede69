/**
 * The sink: `node sink-main.ts SINK_OPTIONS`. Checks the number of each record against the last of the same producer and
 * partition, and says what it saw when all have come, or when none has for a while. It can also measure how long they took
 * since they were due.
 * @module
 */
import { createInterface } from 'node:readline'
import { ChangeMeter, type Changes } from './change-meter.ts'
import { Checker } from './checker.ts'
import { LatencyMeter, type Percentiles } from './latency-meter.ts'
import { monotonicUs } from './monotonic.ts'
import { openReceiver } from './receivers.ts'
import type { Transport } from './senders.ts'
import { dueAt, partitions, timeAt } from './workload.ts'

/** Records that came one after the other, and how long that took. */
export interface Stretch {
  readonly records: number
  readonly seconds: number
}

/** What the sink says at its end: of all records, or of those behind the stretches, but that its checks are of all. */
export interface SinkReport extends Stretch {
  readonly lost: number
  readonly repeated: number
  readonly reordered: number
  readonly latency?: Percentiles
  readonly changes?: Changes
}

export interface SinkOptions {
  readonly url: string
  readonly transport: Transport
  readonly stream: string
  /** How many are to come; without it a line of its input says so, {"planned": COUNT}, once that is known. */
  readonly planned?: number
  /** Where a record's number stands: at the head of its value, or in its event time, which functions pass on. */
  readonly numberedBy: 'value' | 'time'
  /** One after the other: as soon as so many records more have come, a `Stretch` is said. The rest is the report's. Default: none. */
  readonly stretches?: readonly number[]
  /** Latency is measured, but not of so many records at first. */
  readonly warmUpRecords?: number
  /** Where in a value the version stands, as 16 bits; gaps are measured then, but for the warm-up's. */
  readonly versionAt?: number
}

/** How long nothing may come: at first, since a runner starts meanwhile, and then. */
const [firstWaitMs, stallMs] = [60_000, 15_000]

const options = JSON.parse(process.argv[2]!) as SinkOptions
const { warmUpRecords, numberedBy } = options
let { planned = Number.POSITIVE_INFINITY } = options
const input = createInterface({ input: process.stdin })
input.once('close', () => process.exit(1)) // whoever started us is gone
input.on('line', (line) => {
  planned = (JSON.parse(line) as { planned: number }).planned
  finishIfAllCame()
})
const meter = warmUpRecords === undefined ? undefined : new LatencyMeter(warmUpRecords)
const changes = options.versionAt === undefined ? undefined : new ChangeMeter(partitions)
const checker = new Checker(2 * partitions)
let firstMs = 0
let lastMs = performance.now()
/** Where the stretch at hand began. */
let begun = { records: 0, ms: 0 }
const stretches = [...(options.stretches ?? [])]
let stretchEnd = stretches[0] ?? Number.POSITIVE_INFINITY
await openReceiver({
  ...options,
  onRecord(partition, view, valueAt, recordAt) {
    if (firstMs === 0) firstMs = begun.ms = performance.now()
    const number = view.getUint32(numberedBy === 'value' ? valueAt : recordAt + timeAt, true)
    const producer = number >>> 31
    checker.see(2 * partition + producer, number & 0x7fffffff)
    if (checker.received >= stretchEnd) endStretch()
    if (changes === undefined) meter?.record(view.getFloat64(valueAt + dueAt, true), monotonicUs())
    else {
      changes.see(partition, view.getUint16(valueAt + options.versionAt!, true), monotonicUs())
      if (checker.received === warmUpRecords) changes.forget()
    }
    return producer
  },
  onLot() {
    lastMs = performance.now()
    finishIfAllCame()
  },
})
console.log(JSON.stringify({ ready: true }))
const stall = setInterval(() => {
  if (performance.now() - lastMs > (firstMs === 0 ? firstWaitMs : stallMs)) finish()
}, 1000)

function endStretch(): void {
  const ms = performance.now()
  console.log(JSON.stringify(stretchTo(ms)))
  begun = { records: checker.received, ms }
  stretches.shift()
  stretchEnd = begun.records + (stretches[0] ?? Number.POSITIVE_INFINITY)
}

function stretchTo(ms: number): Stretch {
  return { records: checker.received - begun.records, seconds: (ms - begun.ms) / 1000 }
}

function finishIfAllCame(): void {
  if (checker.received >= planned) finish()
}

function finish(): void {
  while (stretches.length > 0) endStretch() // they have not all come
  if (planned === Number.POSITIVE_INFINITY) return // whoever hears of the last stretch says how many are to come
  clearInterval(stall)
  const report: SinkReport = {
    ...stretchTo(lastMs),
    ...checker.checks(planned),
    ...(changes === undefined ? meter && { latency: meter.percentiles() } : { changes: changes.changes() }),
  }
  console.log(JSON.stringify(report))
}
