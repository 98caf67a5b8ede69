/**
 * Tax: the CPU that a runner spends beside the user's function.
 *
 * The same function handles the same frames twice in each run: in a runner under full load (watchdog and runner, all
 * threads), and in a bare loop with the same state store. What the runner takes more is the tax. It is shown for a
 * function that does next to nothing, and as a share of one that costs about 5 µs a record.
 * @module
 */
import { partitions } from './load/workload.ts'
import { bareLoop, cpuMicros } from './references/bare.ts'
import { runChain } from './stage/chain.ts'
import { Place } from './stage/place.ts'
import { type BenchFunction, startRunner, streamOf } from './stage/runner.ts'
import { addChecks, type Benchmark, type Checks, type Sample } from './suite/benchmark.ts'
import { countFunction, floodOf } from './throughput.ts'

const scorerMicros = 5
/** It is slow, so it gets fewer records. */
const scorerShare = 1 / 4

export const tax: Benchmark = {
  name: 'tax',
  measures: 'microseconds of CPU that a runner spends on a record beside the function itself',
  measuresNot:
    'the CPU of nats-server, latency, functions that wait. The bare loop checks and undoes nothing.',
  figures: {
    tax: { title: 'tax', unit: 'µs/record' },
    scorer: { title: `tax on a scorer of ${scorerMicros} µs`, unit: '%' },
    count: { title: 'CPU: count', unit: 'µs', compared: false },
    'scorer-cpu': { title: 'scorer', unit: 'µs', compared: false },
  },
  subject: 'Concord',
  references: { aStore: 'bare loop, Concord’s state store' },
  recordsDefault: 4_000_000,
  async open({ records }) {
    const place = await Place.open()
    const scorer = scorerOf(await roundsFor(place, records * scorerShare))
    const inLoop = async (): Promise<LoopSample> => ({
      count: cpuMicros(await bareLoop(place, { function: countFunction, store: 'arena', records })),
      scorer: cpuMicros(
        await bareLoop(place, { function: scorer, store: 'arena', records: records * scorerShare }),
      ),
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
        if (side === 'aStore')
          return { values: { tax: loop.count, count: loop.count, 'scorer-cpu': loop.scorer } }
        const count = await inRunner(place, countFunction, records)
        return taxOf(loop, count, await inRunner(place, scorer, records * scorerShare))
      },
      close: () => place.close(),
    }
  },
}

/** Microseconds a record. */
interface LoopSample {
  readonly count: number
  readonly scorer: number
}

interface RunnerSample {
  readonly micros: number | undefined
  readonly checks: Checks
}

function taxOf(loop: LoopSample, count: RunnerSample, scorer: RunnerSample): Sample {
  const checks = addChecks(count.checks, scorer.checks)
  if (count.micros === undefined || scorer.micros === undefined)
    throw new Error('Cannot measure the CPU of a runner: this system has no /proc')
  const values = {
    tax: count.micros - loop.count,
    scorer: (scorer.micros / loop.scorer - 1) * 100,
    count: count.micros,
    'scorer-cpu': scorer.micros,
  }
  return { values, checks }
}

async function inRunner(place: Place, func: BenchFunction, records: number): Promise<RunnerSample> {
  const { name } = func.manifest
  const streams = [streamOf('in', partitions, [name]), streamOf('out', partitions, ['sink'])]
  const { cpu, checks } = await runChain(place, {
    transport: 'channel',
    loads: floodOf(name, 'channel', records),
    middle: async (_, start) => (await startRunner(place, start, { function: func, streams })).pids,
  })
  return { micros: cpu.function, checks }
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

/** How many rounds make the scorer cost what it shall, start included: from what it costs with few and with many. */
async function roundsFor(place: Place, records: number): Promise<number> {
  const [few, many] = [10, 110]
  const micros = async (rounds: number): Promise<number> =>
    cpuMicros(await bareLoop(place, { function: scorerOf(rounds), store: 'arena', records }))
  const [cheap, dear] = [await micros(few), await micros(many)]
  const microsARound = Math.max(0.001, (dear - cheap) / (many - few))
  return Math.max(1, Math.round(few + (scorerMicros - cheap) / microsARound))
}
