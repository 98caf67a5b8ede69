/**
 * Swap: one version after the other takes over in a runner under steady load, with a gigabyte of state.
 *
 * The chain of the latency benchmark at 200,000 records/s. Each record overwrites an entry at random; outputs say which
 * version wrote them, so the sink sees each change, and for how long nothing came then. The references are the same run
 * without changes, looked at ten times a second, and one in which each version has a `migrate`: a record reads the entry that it
 * overwrites, and the next version comes when all is in the format of the last one.
 * @module
 */
import type { Heartbeat } from '../../infra/control/messages.ts'
import { partitions } from './load/workload.ts'
import { runChain } from './stage/chain.ts'
import { Place } from './stage/place.ts'
import { type BenchFunction, type Runner, startRunner, streamOf } from './stage/runner.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'

const recordsPerSecond = 200_000
/** A run of few records is a slow one: a version takes a second or two to take over. */
const secondsMin = 8
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
    changes: { title: 'changes', unit: '', compared: false },
    'change-over': { title: 'change-over p99', unit: 'ms', compared: false },
    rate: { title: 'rate', unit: 'records/s', compared: false },
    state: { title: 'state', unit: 'MB', compared: false },
  },
  subject: 'Concord, versions change',
  references: { steady: 'the same, they do not', migrate: 'they do, and state migrates' },
  recordsDefault: 8_000_000,
  async open({ records }) {
    const place = await Place.open()
    return {
      measure: (side) =>
        measure(place, records, { changes: side !== 'steady', migrates: side === 'migrate' }),
      close: () => place.close(),
    }
  },
}

interface Side {
  readonly changes: boolean
  readonly migrates: boolean
}

async function measure(place: Place, records: number, { changes, migrates }: Side): Promise<Sample> {
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
      versions.begin(runner, entries * valueBytes, changes)
      return runner.pids
    },
    warmUpRecords: Math.floor(records / 3),
    versionAt,
  })
  const { changesMs, steadyMs, backwards } = report.changes!
  if (changes && changesMs.length === 0) throw versions.failure ?? new Error('no version has changed')
  const pauses = (changes ? changesMs : steadyMs).toSorted((a, b) => a - b)
  return {
    values: {
      'pause-p99': at(pauses, 0.99),
      'pause-p50': at(pauses, 0.5),
      'pause-max': pauses.at(-1),
      rate: records / report.seconds,
      state: versions.stateBytes / 1e6,
      ...(changes ? { changes: changesMs.length, 'change-over': at(versions.changeOversMs, 0.99) } : {}),
    },
    checks: { ...checks, reordered: checks.reordered + backwards },
  }
}

/** Lets one version after the other take over, once all of the state is there. */
class Versions {
  readonly first: BenchFunction
  readonly #other: BenchFunction
  stateBytes = 0
  /** Why it has stopped: at the latest because the runner has ended. */
  failure: Error | undefined
  readonly #changeOversMs: number[] = []

  constructor(first: BenchFunction, other: BenchFunction) {
    this.first = first
    this.#other = other
  }

  /** Sorted. */
  get changeOversMs(): readonly number[] {
    return this.#changeOversMs.toSorted((a, b) => a - b)
  }

  /** Goes on until the runner ends. */
  begin(runner: Runner, stateBytes: number, changes: boolean): void {
    void this.#go(runner, stateBytes, changes).catch((error: Error) => {
      this.failure = error
    })
  }

  async #go(runner: Runner, stateBytes: number, changes: boolean): Promise<void> {
    while (this.stateBytes < stateBytes) this.#see(await runner.beat())
    for (let version = 2; changes; version++) {
      this.#see(await runner.swap(version, version % 2 === 0 ? this.#other : this.first))
      if (this.first.migrates) await this.#migrated(runner)
    }
    for (;;) this.#see(await runner.beat())
  }

  /** All is in the format of the version at work: so it is three reports in a row, the first may be of before it was told. */
  async #migrated(runner: Runner): Promise<void> {
    for (let settled = 0; settled < 3; ) {
      const beat = await runner.beat()
      this.#see(beat)
      settled = beat.instances[0]?.migrating === undefined ? settled + 1 : 0
    }
  }

  #see({ instances: [instance] }: Heartbeat): void {
    this.stateBytes = instance?.stateBytes ?? 0
    if (instance?.swapPauseMs !== undefined) this.#changeOversMs.push(instance.swapPauseMs)
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

function at(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.floor((sorted.length - 1) * share)]
}
