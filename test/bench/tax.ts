/**
 * Tax: the CPU that a runner spends beside the user's function.
 *
 * The same function handles the same frames twice in each run: in a runner under full load (watchdog and runner, all
 * threads), and in a bare loop with the same state store. What the runner takes more is the tax. It is shown for a
 * function that does next to nothing, and as a share of one that costs about 5 µs a record. Of either side the first fifth, which
 * finds cold code, is told apart.
 * @module
 */
import { partitions } from './load/workload.ts'
import { bareLoop, cpuMicros } from './references/bare.ts'
import { runChain } from './stage/chain.ts'
import { Place } from './stage/place.ts'
import { type BenchFunction, startRunner, streamOf } from './stage/runner.ts'
import { addChecks, type Benchmark, type Checks, type Sample } from './suite/benchmark.ts'
import { coldOf, countFunction, floodOf } from './throughput.ts'

const scorerMicros = 5
/** It is slow, so it gets fewer records; and how many rounds it shall have is found with fewer still. */
const scorerShare = 1 / 2
const searchShare = 1 / 8

export const tax: Benchmark = {
  name: 'tax',
  measures: 'microseconds of CPU that a runner spends on a record beside the function itself',
  measuresNot:
    'the CPU of nats-server, latency, functions that wait; the start: a runner compiles in the first fifth of a run, which is ' +
    'told apart. The bare loop checks and undoes nothing.',
  figures: {
    tax: { title: 'tax', unit: 'µs/record' },
    scorer: { title: `tax on a scorer of ${scorerMicros} µs`, unit: '%' },
    count: { title: 'CPU: count', unit: 'µs', compared: false },
    'scorer-cpu': { title: 'scorer', unit: 'µs', compared: false },
    'cold-count': { title: 'first fifth: count', unit: 'µs', compared: false },
    'cold-scorer': { title: 'scorer', unit: 'µs', compared: false },
  },
  subject: 'Concord',
  references: { aStore: 'bare loop, Concord’s state store' },
  recordsDefault: 5_000_000,
  async open({ records }) {
    const place = await Place.open()
    const scorer = scorerOf(await roundsFor(place, records * searchShare))
    const inLoop = async (): Promise<LoopSample> => ({
      count: await alone(place, countFunction, records),
      scorer: await alone(place, scorer, records * scorerShare),
    })
    const loops = new Map<number, Promise<LoopSample>>()
    /** Once a run, whichever side asks first. */
    const loopOf = (run: number): Promise<LoopSample> => {
      const loop = loops.get(run) ?? inLoop()
      loops.set(run, loop)
      return loop
    }
    return {
      measure: async (side, run) => {
        const loop = await loopOf(run)
        if (side === 'aStore') return { values: { tax: loop.count.micros, ...pricesOf(loop) } }
        const count = await inRunner(place, countFunction, records)
        return taxOf(loop, { count, scorer: await inRunner(place, scorer, records * scorerShare) })
      },
      close: () => place.close(),
    }
  },
}

/** Microseconds a record, and of the cold ones. */
interface Price {
  readonly micros: number
  readonly coldMicros: number
}

interface LoopSample {
  readonly count: Price
  readonly scorer: Price
}

interface RunnerSample {
  readonly count: Price & { readonly checks: Checks }
  readonly scorer: Price & { readonly checks: Checks }
}

function taxOf(loop: LoopSample, runner: RunnerSample): Sample {
  const { count, scorer } = runner
  const values = {
    tax: count.micros - loop.count.micros,
    scorer: (scorer.micros / loop.scorer.micros - 1) * 100,
    ...pricesOf(runner),
  }
  return { values, checks: addChecks(count.checks, scorer.checks) }
}

function pricesOf({ count, scorer }: LoopSample): Sample['values'] {
  return {
    ...{ count: count.micros, 'scorer-cpu': scorer.micros },
    ...{ 'cold-count': count.coldMicros, 'cold-scorer': scorer.coldMicros },
  }
}

async function inRunner(place: Place, func: BenchFunction, records: number): Promise<RunnerSample['count']> {
  const { name } = func.manifest
  const streams = [streamOf('in', partitions, [name]), streamOf('out', partitions, ['sink'])]
  const { cpu, cold, checks } = await runChain(place, {
    transport: 'channel',
    loads: floodOf(name, 'channel', records),
    middle: async (_, start) => (await startRunner(place, start, { function: func, streams })).pids,
    coldRecords: coldOf(records),
  })
  const [micros, coldMicros] = [cpu.function, cold!.cpu.function]
  if (micros === undefined || coldMicros === undefined)
    throw new Error('Cannot measure the CPU of a runner: this system has no /proc')
  return { micros, coldMicros, checks }
}

async function alone(place: Place, func: BenchFunction, records: number): Promise<Price> {
  const coldRecords = coldOf(records)
  const { warm, cold } = await bareLoop(place, { function: func, store: 'arena', records, coldRecords })
  return { micros: cpuMicros(warm), coldMicros: cpuMicros(cold) }
}

function scorerOf(rounds: number): BenchFunction {
  return {
    file: 'test/bench/load/scorer-function.ts',
    manifest: {
      name: 'scorer',
      istreams: { in: { grouping: 'groupBy' } },
      ostreams: ['out'],
      limits: { heapMib: 256, stateMib: 256 },
      env: { SCORER_ROUNDS: String(rounds) },
    },
  }
}

/** How many rounds make the scorer cost what it shall: from what it costs with few and with many. */
async function roundsFor(place: Place, records: number): Promise<number> {
  const [few, many] = [10, 110]
  const { micros: cheap } = await alone(place, scorerOf(few), records)
  const { micros: dear } = await alone(place, scorerOf(many), records)
  const microsARound = Math.max(0.001, (dear - cheap) / (many - few))
  return Math.max(1, Math.round(few + (scorerMicros - cheap) / microsARound))
}
