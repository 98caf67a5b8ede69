/**
 * Density: what an idle instance takes in a runner that it shares with others.
 *
 * A runner with one instance of a keyed, stateful function, then one with many; what the second takes more, by the number
 * of instances that it has more. Each owns two partitions of its input, has run its `init`, and has had no record.
 * @module
 */
import { residentBytes } from '../../runner/process/proc.ts'
import { Place } from './stage/place.ts'
import { startRunner, streamOf } from './stage/runner.ts'
import type { Benchmark } from './suite/benchmark.ts'
import { countFunction } from './throughput.ts'

const instances = 64
const partitions = 2 * (instances + 1)
/** After so many heartbeats a runner is at rest. */
const beatsToRest = 5

export const density: Benchmark = {
  name: 'density',
  measures: `MiB of resident memory for an idle instance, one of ${instances + 1} of a keyed stateful function in a runner`,
  measuresNot: 'instances that have worked (their heaps and their state come on top), starting them.',
  figures: {
    instance: { title: 'an instance', unit: 'MiB' },
  },
  subject: 'Concord, packed',
  references: { isolate: 'bare isolate of isolated-vm', alone: 'instance with a runner of its own' },
  async open() {
    const place = await Place.open()
    const sides: Record<string, () => Promise<number>> = {
      concord: async () =>
        ((await runnerBytes(place, instances + 1)) - (await runnerBytes(place, 1))) / instances,
      isolate: () => isolateBytes(place),
      alone: () => runnerBytes(place, undefined),
    }
    return {
      measure: async (side) => {
        return { values: { instance: (await sides[side]!()) / 2 ** 20 } }
      },
      close: () => place.close(),
    }
  },
}

/** @param packed So many in a packed runner; undefined: one, in a runner that is not made for more. */
async function runnerBytes(place: Place, packed: number | undefined): Promise<number> {
  const { limits: _, ...manifest } = countFunction.manifest
  const streams = [streamOf('in', partitions, ['count']), streamOf('out', partitions, ['sink'])]
  return await place.scene(async (start) => {
    const { pids, beat } = await startRunner(place, start, {
      ...{ function: { ...countFunction, manifest }, streams },
      ...(packed === undefined ? {} : { instances: packed }),
    })
    for (let i = 0; i < beatsToRest; i++) await beat()
    const bytes = residentBytes(pids[1]!)
    if (bytes === undefined)
      throw new Error('Cannot measure the memory of a runner: this system has no /proc')
    return bytes
  })
}

async function isolateBytes(place: Place): Promise<number> {
  return await place.scene(async (start) => {
    const child = start.script('references/isolates-main.ts', String(instances))
    return (await child.says<{ bytes: number }>()).bytes
  })
}
