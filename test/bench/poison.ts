/**
 * Poison: what one record in a hundred that throws costs a stream of a million records a second, under each policy.
 *
 * The chain of throughput. Turns in which one record in a hundred throws and turns in which none does follow each other within one run
 * (`stage/turns.ts`), and what is told is the median difference between one and those around it. Concord's own side runs the same, with nothing that throws in
 * either kind of turn: what it shows is what the method makes of no difference.
 * @module
 */

import { LetterStore } from '../../gateway/dead-letters/letter-store.ts'
import type { ManifestInput } from '../../sdk/manifest/manifest.ts'
import { partitions, poisonEvery } from './load/workload.ts'
import { Place } from './stage/place.ts'
import { namespace, startRunner, streamOf } from './stage/runner.ts'
import { runTurns, type TurnReport } from './stage/turns.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'
import { median } from './suite/statistics.ts'

const policies: Readonly<Record<string, ManifestInput['onError']>> = {
  skip: 'skip',
  deadLetter: 'deadLetter',
  // biome-ignore lint/suspicious/noThenProperty: a policy, never a thenable -- API
  retry: { retry: 2, then: 'skip', waitMs: 0 },
}
/** Letters of a run are some 80 MB. */
const letterBytesMax = 2 ** 30

export const poison: Benchmark = {
  name: 'poison',
  measures:
    'records a second through the chain of throughput while one in a hundred throws for good, by turns of a second with ' +
    'none that does; each ratio is between turns of one run',
  measuresNot:
    'what outlives a turn, such as code that V8 compiles for failures (both kinds of turns have it), errors with long stacks (of ' +
    'each second the first 20 are told whole), retries that wait, redriving, and the first fifth of a run.',
  figures: {
    rate: { title: 'rate', unit: 'records/s' },
    less: { title: 'fewer', unit: '%', compared: false },
    'throw-all': { title: 'CPU of one that throws: all processes', unit: 'µs', compared: false },
    'throw-isolate': { title: 'isolate', unit: 'µs', compared: false },
    'throw-main': { title: 'main thread', unit: 'µs', compared: false },
    'throw-helpers': { title: 'helpers', unit: 'µs', compared: false },
    'throw-nats': { title: 'nats-server', unit: 'µs', compared: false },
    'cpu-all': { title: 'CPU of all processes', unit: 'µs' },
  },
  subject: 'nothing throws',
  references: { skip: 'skip', deadLetter: 'deadLetter', retry: 'retry 2, then skip' },
  recordsDefault: 40_000_000,
  async open({ records }) {
    const place = await Place.open()
    const { nc } = place
    await new LetterStore({ nc, namespace, bytesMax: letterBytesMax, ageMaxMs: 3_600_000 }).ensure()
    return { measure: (side) => measure(place, records, side), close: () => place.close() }
  },
}

async function measure(place: Place, records: number, side: string): Promise<Sample> {
  const onError = policies[side]
  const { comparisons, checks } = await runTurns(place, {
    ...{ records, consumer: 'poison', other: onError === undefined ? 'plain' : 'poison' },
    middle: async (start) => {
      const streams = [streamOf('in', partitions, ['poison']), streamOf('out', partitions, ['sink'])]
      return (await startRunner(place, start, { function: functionOf(onError), streams })).pids
    },
  })
  type Of = (turn: TurnReport) => number
  const medianOf = (of: Of): number => median(comparisons.map(({ other }) => of(other)))
  const ratioOf = (of: Of): number =>
    median(comparisons.map(({ other, around: [a, b] }) => (of(a) + of(b)) / 2 / of(other)))
  const moreOf = (of: Of): number =>
    median(comparisons.map(({ other, around: [a, b] }) => of(other) - (of(a) + of(b)) / 2)) * poisonEvery
  const ratio = ratioOf(rateOf)
  return {
    values: {
      ...{ rate: medianOf(rateOf), less: (1 - 1 / ratio) * 100, 'cpu-all': medianOf(cpuOfAll) },
      'throw-all': moreOf(cpuOfAll),
      'throw-isolate': moreOf(({ cpu }) => cpu.isolate),
      'throw-main': moreOf(({ cpu }) => cpu.main),
      'throw-helpers': moreOf(({ cpu }) => cpu.helpers),
      'throw-nats': moreOf(({ cpu }) => cpu.nats),
    },
    ratios: { rate: ratio, 'cpu-all': ratioOf(cpuOfAll) },
    checks,
  }
}

function rateOf({ recordsPerSecond }: TurnReport): number {
  return recordsPerSecond
}

function cpuOfAll({ cpu }: TurnReport): number {
  return Object.values(cpu).reduce((sum, micros) => sum + micros, 0)
}

function functionOf(onError: ManifestInput['onError']) {
  return {
    file: 'test/bench/load/poison-function.ts',
    manifest: {
      name: 'poison',
      istreams: { in: { grouping: 'groupBy' as const } },
      ostreams: ['out'],
      limits: { heapMib: 256, stateMib: 256 },
      ...(onError === undefined ? {} : { onError }),
    },
  }
}
