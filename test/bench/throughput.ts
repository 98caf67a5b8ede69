/**
 * Throughput: one keyed stateful instance in a real runner, NATS in and out.
 *
 *     2 producer processes → nats-server → runner → nats-server → sink process
 *
 * In (c) and (c2) a service stands where the runner stands, in (b) nothing. Every run starts everything but nats-server
 * anew. The first fifth of its records finds cold code and memory that nobody has touched; what they cost is told apart. Clock
 * and CPU run from then, as the sink sees it, to its last record.
 * @module
 */
import type { Transport } from './load/senders.ts'
import type { SinkReport, Stretch } from './load/sink-main.ts'
import { partitions } from './load/workload.ts'
import { bareLoop, cpuMicros } from './references/bare.ts'
import { startWorkerd } from './references/workerd.ts'
import { type ChainOptions, runChain, type StartMiddle } from './stage/chain.ts'
import { CpuMeter } from './stage/cpu.ts'
import { Place } from './stage/place.ts'
import { type BenchFunction, startRunner, streamOf } from './stage/runner.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'

const producers = 2
/** A request a record is some fifty times slower: it gets fewer, so that a run takes as long. */
const requestShare = 1 / 32
/** Of each run, of whatever side, what is told apart. */
const coldShare = 1 / 5

export const countFunction: BenchFunction = {
  file: 'test/bench/load/count-function.ts',
  manifest: {
    name: 'count',
    istreams: { in: { grouping: 'groupBy' } },
    ostreams: ['out'],
    limits: { heapMib: 256, stateMib: 256 },
  },
}

export const throughput: Benchmark = {
  name: 'throughput',
  measures:
    'records a second through one keyed stateful instance, NATS in and out: 100-byte values, 16 partitions, ' +
    '100,000 keys by Zipf’s law, 2 producers, a sink that checks every record',
  measuresNot:
    'a runner with cores of its own (producers, nats-server and sink share this machine), a network, making or parsing ' +
    'records (they are made in advance), latency; and in the rate not the first fifth of a run, while code is compiled.',
  figures: {
    rate: { title: 'rate', unit: 'records/s' },
    'cpu-function': { title: 'CPU: function', unit: 'µs', compared: false },
    'cpu-producers': { title: 'producers', unit: 'µs', compared: false },
    'cpu-nats': { title: 'nats-server', unit: 'µs', compared: false },
    'cpu-sink': { title: 'sink', unit: 'µs', compared: false },
    'cold-rate': { title: 'first fifth: rate', unit: 'records/s', compared: false },
    'cold-function': { title: 'function', unit: 'µs', compared: false },
  },
  subject: 'Concord',
  references: {
    a: 'bare loop of Node, state in a Map',
    aStore: 'bare loop, Concord’s state store',
    b: 'raw NATS, no function',
    c: 'service, a message a record',
    c2: 'service for this job, frames',
    d: 'workerd, a request a record',
    dFrames: 'workerd, a request a frame',
  },
  recordsDefault: 5_000_000,
  async open({ records }) {
    const place = await Place.open()
    const sides: Record<string, () => Promise<Sample>> = {
      concord: () => stream(place, records, 'channel', startCount),
      a: () => bare(place, records, 'map'),
      aStore: () => bare(place, records, 'arena'),
      b: () => stream(place, records, 'frames'),
      c: () => stream(place, records, 'messages', startService('references/service-main.ts')),
      c2: () => stream(place, records, 'frames', startService('references/frame-service-main.ts')),
      d: () => http(place, Math.ceil(records * requestShare), 'record'),
      dFrames: () => http(place, records, 'frame'),
    }
    return { measure: (side) => sides[side]!(), close: () => place.close() }
  },
}

async function stream(
  place: Place,
  records: number,
  transport: Transport,
  middle?: StartMiddle,
): Promise<Sample> {
  const { report, checks, cpu, cold } = await runChain(place, {
    transport,
    loads: floodOf('count', transport, records),
    middle,
    coldRecords: coldOf(records),
  })
  return {
    values: {
      rate: rateOf(report),
      'cpu-function': cpu.function,
      'cpu-producers': cpu.producers,
      'cpu-nats': cpu.nats,
      'cpu-sink': cpu.sink,
      'cold-rate': rateOf(cold!),
      'cold-function': cold!.cpu.function,
    },
    checks,
  }
}

/** How many of so many records are cold. */
export function coldOf(records: number): number {
  return Math.ceil(records * coldShare)
}

function rateOf({ records, seconds }: Stretch): number {
  return records / seconds
}

/** Two producers that send as fast as they may. */
export function floodOf(consumer: string, transport: Transport, records: number): ChainOptions['loads'] {
  const share = String(Math.ceil(records / producers))
  return (start, url) =>
    Array.from({ length: producers }, (_, index) =>
      start.script('load/producer-main.ts', url, transport, 'in', consumer, String(index), share),
    )
}

export const startCount: StartMiddle = async (place, start) => {
  const streams = [streamOf('in', partitions, ['count']), streamOf('out', partitions, ['sink'])]
  return (await startRunner(place, start, { function: countFunction, streams })).pids
}

/** A service in the middle, which is a script of `references/`. */
export function startService(script: string): StartMiddle {
  return async (place, start) => {
    const service = start.script(script, place.nats.url)
    await service.says()
    return [service.pid]
  }
}

async function bare(place: Place, records: number, store: 'map' | 'arena'): Promise<Sample> {
  const { warm, cold } = await bareLoop(place, {
    ...{ function: countFunction, store, records },
    coldRecords: coldOf(records),
  })
  return {
    values: {
      rate: rateOf(warm),
      'cpu-function': cpuMicros(warm),
      'cold-rate': rateOf(cold),
      'cold-function': cpuMicros(cold),
    },
  }
}

async function http(place: Place, records: number, unit: 'record' | 'frame'): Promise<Sample> {
  return await place.scene(async (start) => {
    const workerd = await startWorkerd(place, start)
    const words = [workerd.port, unit, records, coldOf(records)].map(String)
    const load = start.script('load/http-main.ts', ...words)
    await load.says()
    const meter = new CpuMeter({ 'cpu-function': [workerd.child.pid], 'cpu-producers': [load.pid] })
    load.tell('go')
    const cold = await load.says<Stretch>()
    const { 'cpu-function': coldFunction } = meter.perRecord(cold.records)
    const { records: warm, seconds, ...checks } = await load.says<SinkReport>()
    const values = {
      ...{ rate: warm / seconds, ...meter.perRecord(warm) },
      ...{ 'cold-rate': rateOf(cold), 'cold-function': coldFunction },
    }
    return { values, checks }
  })
}
