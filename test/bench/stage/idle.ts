/**
 * Idle: a packed runner with instances that have nothing to do, and what each of them costs.
 *
 * Each owns its share of a keyed input and could write an output of 16 partitions, as a deployed one would. What it does
 * not show: instances that have worked, whose heaps and batches have grown.
 * @module
 */
import { readFileSync } from 'node:fs'
import type { Place } from './place.ts'
import { type BenchFunction, startRunner, streamOf } from './runner.ts'

const pageBytes = 4096
/** The last garbage of the start is gone by then. */
const beatsToSettle = 6
const partitionsMax = 1024

export const idleFunction: BenchFunction = {
  file: 'test/bench/load/count-function.ts',
  manifest: { name: 'count', istreams: { in: { grouping: 'groupBy' } }, ostreams: ['out'] },
}

export interface IdleCost {
  /** Resident memory of the runner with one instance. */
  readonly baseBytes: number
  /** What each further instance adds to it. */
  readonly eachBytes: number
}

/** Starts a runner with one instance and one with many, one after the other. */
export async function idleCost(place: Place, instances: number): Promise<IdleCost> {
  const baseBytes = await idleRunnerBytes(place, 1)
  const allBytes = await idleRunnerBytes(place, instances)
  return { baseBytes, eachBytes: (allBytes - baseBytes) / (instances - 1) }
}

/** Resident memory of a runner (its watchdog is left out) that holds so many idle instances. */
export async function idleRunnerBytes(place: Place, instances: number): Promise<number> {
  return await place.scene(async (start) => {
    const partitions = Math.min(partitionsMax, 8 * instances)
    const streams = [streamOf('in', partitions, ['count']), streamOf('out', 16, ['sink'])]
    const { pids, beat } = await startRunner(place, start, { function: idleFunction, streams, instances })
    for (let i = 0; i < beatsToSettle; i++) await beat()
    const running = (await beat()).instances.filter(({ state }) => state === 'running').length
    if (running !== instances) throw new Error(`${running} of ${instances} instances run`)
    const statm = readFileSync(`/proc/${pids.at(-1)}/statm`, 'utf8')
    return Number(statm.split(' ')[1]) * pageBytes
  })
}
