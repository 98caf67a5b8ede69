/**
 * How long a function has to work between two kills so that the scheduler takes them for what they are: a start is put off the longer the
 * more failures came in a row, less four times what was worked (EN2 of scheduler/core/endings.ts), and after `restarts` in a row
 * there is none.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FunctionDetail } from '../../../sdk/api/index.ts'
import type { Platform } from '../platform.ts'

/** After so much work no start is put off, however many there were. */
const healedMs = 16_000
/** So few kills follow one another as they come. */
const few = 10

/** Whether the function works long enough between so many kills that no start is put off. */
export function heals(kills: number): boolean {
  return kills > few
}

/** A project file for the source NAME.ts beside it that lets the function fail as often as it is killed. */
export function projectOf(platform: Platform, name: string, more: object = {}): string {
  const file = join(platform.home, `${name}.jsonc`)
  writeFileSync(file, JSON.stringify({ main: `./${name}.ts`, restarts: 1000, ...more }))
  return file
}

/** Waits until the function is as wanted, and, where many kills are to come, until it has been so for long enough. */
export async function worked(
  platform: Platform,
  name: string,
  kills: number,
  wanted: (detail: FunctionDetail) => boolean,
): Promise<FunctionDetail> {
  const first = await platform.until(name, wanted)
  if (!heals(kills)) return first
  const sinceMs = performance.now()
  return await platform.until(name, (d) => wanted(d) && performance.now() - sinceMs > healedMs)
}

/** Records a second of each producer: of a run of many minutes a history is to be kept. */
export function rateOf(kills: number): number {
  return heals(kills) ? 2_000 : 10_000
}
