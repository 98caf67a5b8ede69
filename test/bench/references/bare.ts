/**
 * Runs the bare loop of reference (a), in a process of its own.
 * @module
 */
import { join } from 'node:path'
import type { Place } from '../stage/place.ts'
import type { BenchFunction } from '../stage/runner.ts'
import type { BareLoopReport, BareReport } from './bare-main.ts'

const root = join(import.meta.dirname, '../../..')

export interface BareOptions {
  readonly function: BenchFunction
  readonly store: 'map' | 'arena'
  readonly records: number
  /** So many of them at first are told apart: they find cold code. */
  readonly coldRecords: number
}

export async function bareLoop(place: Place, options: BareOptions): Promise<BareLoopReport> {
  const { store, records, coldRecords } = options
  const { file, manifest } = options.function
  const env = JSON.stringify(manifest.env ?? {})
  const words = [join(root, file), store, String(records), String(coldRecords), env]
  return await place.scene((start) =>
    start.scriptLikeRunner('references/bare-main.ts', ...words).says<BareLoopReport>(),
  )
}

/** Microseconds of CPU a record. */
export function cpuMicros({ cpuSeconds, records }: BareReport): number {
  return (cpuSeconds / records) * 1e6
}
