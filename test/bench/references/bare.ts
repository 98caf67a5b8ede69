/**
 * Runs the bare loop of reference (a), in a process of its own.
 * @module
 */
import { join } from 'node:path'
import type { Place } from '../stage/place.ts'
import type { BenchFunction } from '../stage/runner.ts'
import type { BareReport } from './bare-main.ts'

const root = join(import.meta.dirname, '../../..')

export interface BareOptions {
  readonly function: BenchFunction
  readonly store: 'map' | 'arena'
  readonly records: number
}

export async function bareLoop(place: Place, options: BareOptions): Promise<BareReport> {
  const { file, manifest } = options.function
  const words = [join(root, file), options.store, String(options.records), JSON.stringify(manifest.env ?? {})]
  return await place.scene((start) =>
    start.scriptLikeRunner('references/bare-main.ts', ...words).says<BareReport>(),
  )
}

/** Microseconds of CPU a record. */
export function cpuMicros({ cpuSeconds, records }: BareReport): number {
  return (cpuSeconds / records) * 1e6
}
