/**
 * Swap: one version after the other takes over in a runner under steady load, with a gigabyte of state.
 *
 * The chain of the latency benchmark at 200,000 records/s. Each record overwrites an entry at random; outputs say which
 * version wrote them, so the sink sees each change, and for how long nothing came then. Before the first one the same processes
 * are looked at forty times a second: that is the steady pause of this run. In the reference each version has a `migrate`, and a record
 * reads the entry that it overwrites.
 * @module
 */
import type { Heartbeat, InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import { partitions } from './load/workload.ts'
import { runChain } from './stage/chain.ts'
import { Place } from './stage/place.ts'
import { type BenchFunction, type Runner, startRunner, streamOf } from './stage/runner.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'

const recordsPerSecond = 200_000
/** A run of few records is a slow one: a version takes a second or two to take over. */
const secondsMin = 8
/** Of all records: at first state is built up and code compiled; then there is a steady time, before the first change. */
const [warmUpShare, steadyShare] = [1 / 8, 1 / 6]
const valueBytes = 1000
/** Where outputs name their version. */
const versionAt = 92
/** A run too short for it has less state: a record in so many. */
const stateShare = 1 / 5
const stateEntriesMax = 1_000_000

export const swap: Benchmark = {
  name: 'swap',
  measures:
    'milliseconds without an output when another version takes over, at 200,000 records/s, 1 GB of state in 16 ' +
    'partitions, each record overwriting 1000 bytes by a random key',
  measuresNot:
    'checkpoints (they are off), a scheduler and a gateway, versions of much code; preparing a version takes CPU from ' +
    'what else runs on this machine, which is in the figures.',
  figures: {
    'pause-p99': { title: 'pause p99', unit: 'ms' },
    'pause-p50': { title: 'p50', unit: 'ms' },
    'pause-max': { title: 'longest', unit: 'ms' },
    'steady-p99': { title: 'steady p99', unit: 'ms' },
    'steady-p50': { title: 'steady p50', unit: 'ms', compared: false },
    'between-p99': { title: 'between changes p99', unit: 'ms', compared: false },
    changes: { title: 'changes', unit: '', compared: false },
    'change-over': { title: 'change-over p99', unit: 'ms', compared: false },
    rate: { title: 'rate', unit: 'records/s', compared: false },
    state: { title: 'state', unit: 'MB', compared: false },
  },
  subject: 'Concord, versions change',
  references: { migrate: 'they do, and state migrates' },
  recordsDefault: 12_000_000,
  async open({ records }) {
    const place = await Place.open()
    return {
      measure: (side) => measure(place, records, side === 'migrate'),
      close: () => place.close(),
    }
  },
}

async function measure(place: Place, records: number, migrates: boolean): Promise<Sample> {
  const entries = Math.min(stateEntriesMax, Math.ceil(records * stateShare))
  const versions = new Versions(functionOf(entries, 'odd', migrates), functionOf(entries, 'even', migrates))
  const rate = String(Math.min(recordsPerSecond, Math.ceil(records / secondsMin)))
  const { report, checks } = await runChain(place, {
    transport: 'channel',
    loads: (start, url) => [
      start.script('load/paced-main.ts', url, 'channel', 'in', 'swapped', String(records), rate),
    ],
    middle: async (at, start) => {
      const streams = [streamOf('in', partitions, ['swapped']), streamOf('out', partitions, ['sink'])]
      const runner = await startRunner(at, start, { function: versions.first, streams })
      versions.begin(runner, entries * valueBytes, records * (warmUpShare + steadyShare))
      return runner.pids
    },
    warmUpRecords: Math.floor(records * warmUpShare),
    versionAt,
  })
  const { changesMs, steadyMs, betweenMs, backwards } = report.changes!
  if (changesMs.length === 0) throw versions.failure ?? new Error('no version has changed')
  return {
    values: {
      'pause-p99': at(changesMs, 0.99),
      'pause-p50': at(changesMs, 0.5),
      'pause-max': at(changesMs, 1),
      'steady-p99': at(steadyMs, 0.99),
      'steady-p50': at(steadyMs, 0.5),
      'between-p99': at(betweenMs, 0.99),
      changes: changesMs.length,
      'change-over': at(versions.changeOversMs, 0.99),
      rate: records / report.seconds,
      state: versions.stateBytes / 1e6,
    },
    checks: { ...checks, reordered: checks.reordered + backwards },
  }
}

/** Lets one version after the other take over, once all of the state is there and the steady time is over. */
class Versions {
  readonly first: BenchFunction
  readonly #other: BenchFunction
  stateBytes = 0
  /** Why it has stopped: at the latest because the runner has ended. */
  failure: Error | undefined
  readonly changeOversMs: number[] = []

  constructor(first: BenchFunction, other: BenchFunction) {
    this.first = first
    this.#other = other
  }

  /** Goes on until the runner ends. */
  begin(runner: Runner, stateBytes: number, records: number): void {
    void this.#go(runner, stateBytes, records).catch((error: Error) => {
      this.failure = error
    })
  }

  async #go(runner: Runner, stateBytes: number, records: number): Promise<void> {
    for (let seen = 0; this.stateBytes < stateBytes || seen < records; )
      seen = this.#see(await runner.beat())?.recordsIn ?? 0
    for (let version = 2; ; version++) {
      const swapped = this.#see(await runner.swap(version, version % 2 === 0 ? this.#other : this.first))
      if (swapped?.swapPauseMs !== undefined) this.changeOversMs.push(swapped.swapPauseMs)
    }
  }

  #see({ instances: [instance] }: Heartbeat): InstanceReport | undefined {
    this.stateBytes = instance?.stateBytes ?? 0
    return instance
  }
}

function functionOf(entries: number, variant: string, migrates: boolean): BenchFunction {
  return {
    ...(migrates && { migrates }),
    file: 'test/bench/load/swap-function.ts',
    manifest: {
      name: 'swapped',
      istreams: { in: { grouping: 'groupBy' } },
      ostreams: ['out'],
      limits: { heapMib: 64, stateMib: 1536 },
      checkpoint: false,
      trial: { records: 1000, errors: 0, ms: 1000 },
    },
    define: {
      KEYS: String(Math.ceil(entries / partitions)),
      VARIANT: JSON.stringify(variant),
      MIGRATES: `${migrates}`,
    },
  }
}

function at(values: readonly number[], share: number): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]
}
