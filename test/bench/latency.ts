/**
 * Latency: producer to consumer at a fixed rate, whatever became of the records before (open loop).
 *
 * The same chain as in throughput with one producer, which sends what is due each millisecond and sleeps in between.
 * A record's latency is counted from when it was due, not from when it was sent, so that whatever stalls the load counts.
 * @module
 */
import type { Transport } from './load/senders.ts'
import { runChain, type StartMiddle } from './stage/chain.ts'
import { Place } from './stage/place.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'
import { startCount, startService } from './throughput.ts'

export const recordsPerSecond = 50_000
/** Of each run, what is for warming up: two seconds of twelve. */
export const warmUpShare = 1 / 6

export const latency: Benchmark = {
  name: 'latency',
  measures:
    'milliseconds from when a record is due to its consumer, at 50,000 records/s, 50 of them due each millisecond',
  measuresNot:
    'a network, code that is still cold (the first sixth of a run is not counted), a loaded runner; a noisy machine ' +
    'shows in (b) as well.',
  figures: {
    p99: { title: 'p99', unit: 'ms' },
    p50: { title: 'p50', unit: 'ms' },
    p999: { title: 'p99.9', unit: 'ms' },
    load: { title: 'load generator', unit: '% of a core', compared: false },
  },
  subject: 'Concord',
  references: { b: 'raw NATS, no function', c2: 'service for this job, frames' },
  recordsDefault: 600_000,
  async open({ records }) {
    const place = await Place.open()
    const sides: Record<string, () => Promise<Sample>> = {
      concord: () => paced(place, records, 'channel', startCount),
      b: () => paced(place, records, 'frames'),
      c2: () => paced(place, records, 'frames', startService('references/frame-service-main.ts')),
    }
    return { measure: (side) => sides[side]!(), close: () => place.close() }
  },
}

async function paced(
  place: Place,
  records: number,
  transport: Transport,
  middle?: StartMiddle,
): Promise<Sample> {
  const words = [transport, 'in', 'count', String(records), String(recordsPerSecond)]
  const { report, checks, cpu } = await runChain(place, {
    transport,
    loads: (start, url) => [start.script('load/paced-main.ts', url, ...words)],
    middle,
    warmUpRecords: Math.floor(records * warmUpShare),
  })
  const { p50Ms, p99Ms, p999Ms } = report.latency!
  const load = cpu.producers === undefined ? undefined : (cpu.producers * recordsPerSecond * 100) / 1e6
  return { values: { p99: p99Ms, p50: p50Ms, p999: p999Ms, load }, checks }
}
