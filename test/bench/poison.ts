/**
 * Poison: what one record in a hundred that throws costs a stream of a million records a second, under each policy.
 *
 * The chain of throughput. The function is the same on all sides and looks at each record; on Concord's own it throws
 * nothing. Of those records that are to throw for good the sink expects no output, on the others' sides, and each of the rest.
 * The first fifth of a run is left out, as in throughput: it finds cold code.
 * @module
 */

import { LetterStore } from '../../gateway/dead-letters/letter-store.ts'
import type { ManifestInput } from '../../sdk/manifest/manifest.ts'
import { partitions, poisonEvery } from './load/workload.ts'
import { runChain } from './stage/chain.ts'
import { Place } from './stage/place.ts'
import { namespace, startRunner, streamOf } from './stage/runner.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'
import { coldOf, floodOf } from './throughput.ts'

const policies: Readonly<Record<string, ManifestInput['onError']>> = {
  skip: 'skip',
  deadLetter: 'deadLetter',
  // biome-ignore lint/suspicious/noThenProperty: a policy, never a thenable -- API
  retry: { retry: 2, then: 'skip', waitMs: 0 },
}
/** Letters of a run are some 30 MB. */
const letterBytesMax = 2 ** 30

export const poison: Benchmark = {
  name: 'poison',
  measures:
    'records a second through the chain of throughput, none of which throws, and when one in a hundred throws for good',
  measuresNot:
    'errors with long stacks (of each second the first 20 are told whole), retries that wait, redriving, and the first fifth ' +
    'of a run, while code is compiled.',
  figures: {
    rate: { title: 'rate', unit: 'records/s' },
    'cpu-function': { title: 'CPU: function', unit: 'µs', compared: false },
    'cpu-all': { title: 'all processes', unit: 'µs' },
  },
  subject: 'nothing throws',
  references: { skip: 'skip', deadLetter: 'deadLetter', retry: 'retry 2, then skip' },
  recordsDefault: 16_000_000,
  async open({ records }) {
    const place = await Place.open()
    const { nc } = place
    await new LetterStore({ nc, namespace, bytesMax: letterBytesMax, ageMaxMs: 3_600_000 }).ensure()
    return { measure: (side) => stream(place, records, side), close: () => place.close() }
  },
}

async function stream(place: Place, records: number, side: string): Promise<Sample> {
  const onError = policies[side]
  const { report, checks, cpu } = await runChain(place, {
    transport: 'channel',
    loads: floodOf('poison', 'channel', records),
    lacksPoison: onError !== undefined,
    coldRecords: coldOf(records),
    middle: async (_, start) => {
      const streams = [streamOf('in', partitions, ['poison']), streamOf('out', partitions, ['sink'])]
      return (await startRunner(place, start, { function: functionOf(onError), streams })).pids
    },
  })
  const { function: own, producers, nats, sink } = cpu
  const all = own === undefined ? undefined : own + (producers ?? 0) + (nats ?? 0) + (sink ?? 0)
  /** Of the records that came in, those that the sink saw. */
  const share = onError === undefined ? 1 : 1 - 1 / poisonEvery
  const ofInput = (micros: number | undefined) => (micros === undefined ? undefined : micros * share)
  return {
    values: {
      rate: report.records / share / report.seconds,
      'cpu-function': ofInput(own),
      'cpu-all': ofInput(all),
    },
    checks,
  }
}

function functionOf(onError: ManifestInput['onError']) {
  return {
    file: 'test/bench/load/poison-function.ts',
    define: { POISON: String(onError !== undefined) },
    manifest: {
      name: 'poison',
      istreams: { in: { grouping: 'groupBy' as const } },
      ostreams: ['out'],
      limits: { heapMib: 256, stateMib: 256 },
      ...(onError === undefined ? {} : { onError }),
    },
  }
}
