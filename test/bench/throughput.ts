/**
 * Throughput: one keyed stateful instance in a real runner, NATS in and out.
 *
 *     2 producer processes → nats-server → runner → nats-server → sink process
 *
 * In (c) and (c2) a service stands where the runner stands, in (b) nothing. Every run starts everything but nats-server
 * anew. The clock runs from the sink's first record to its last: the start of the processes is not measured, code that
 * is still cold is.
 * @module
 */
import type { Transport } from './load/senders.ts'
import type { SinkReport } from './load/sink-main.ts'
import { partitions } from './load/workload.ts'
import { bareLoop } from './references/bare.ts'
import { startWorkerd } from './references/workerd.ts'
import { type ChainOptions, runChain, type StartMiddle } from './stage/chain.ts'
import { CpuMeter } from './stage/cpu.ts'
import { Place } from './stage/place.ts'
import { type BenchFunction, startRunner, streamOf } from './stage/runner.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'

const producers = 2
/** A request a record is some fifty times slower: it gets fewer, so that a run takes as long. */
const requestShare = 1 / 32

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
    'records (they are made in advance), latency.',
  figures: {
    rate: { title: 'rate', unit: 'records/s' },
    'cpu-function': { title: 'CPU: function', unit: 'µs', compared: false },
    'cpu-producers': { title: 'producers', unit: 'µs', compared: false },
    'cpu-nats': { title: 'nats-server', unit: 'µs', compared: false },
    'cpu-sink': { title: 'sink', unit: 'µs', compared: false },
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
  recordsDefault: 4_000_000,
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
  const { planned, report, checks, cpu } = await runChain(place, {
    transport,
    loads: floodOf('count', transport, records),
    middle,
  })
  return {
    values: {
      rate: planned / report.seconds,
      'cpu-function': cpu.function,
      'cpu-producers': cpu.producers,
      'cpu-nats': cpu.nats,
      'cpu-sink': cpu.sink,
    },
    checks,
  }
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

function startService(script: string): StartMiddle {
  return async (place, start) => {
    const service = start.script(script, place.nats.url)
    await service.says()
    return [service.pid]
  }
}

async function bare(place: Place, records: number, store: 'map' | 'arena'): Promise<Sample> {
  const report = await bareLoop(place, { function: countFunction, store, records })
  return {
    values: {
      rate: report.records / report.seconds,
      'cpu-function': (report.cpuSeconds / report.records) * 1e6,
    },
  }
}

async function http(place: Place, records: number, unit: 'record' | 'frame'): Promise<Sample> {
  return await place.scene(async (start) => {
    const workerd = await startWorkerd(place, start)
    const load = start.script('load/http-main.ts', String(workerd.port), unit, String(records))
    const { planned } = await load.says<{ planned: number }>()
    const meter = new CpuMeter({ 'cpu-function': [workerd.child.pid], 'cpu-producers': [load.pid] })
    load.tell('go')
    const { seconds, ...checks } = await load.says<SinkReport>()
    return { values: { rate: planned / seconds, ...meter.perRecord(planned) }, checks }
  })
}
