/**
 * Slowest: where the time of a run went, so that whoever makes it faster begins where that helps.
 * @module
 */
import type { FileTook } from './test-runner.ts'

/** A line for each of the slowest files, under one that says what all took. */
export function slowestText(took: readonly FileTook[], most = 20): string {
  const sorted = [...took].sort((a, b) => b.seconds - a.seconds)
  const sum = (files: readonly FileTook[]): number => files.reduce((all, { seconds }) => all + seconds, 0)
  const shown = sorted.slice(0, most)
  const share = Math.round((100 * sum(shown)) / Math.max(sum(sorted), 1e-9))
  const head = `${sorted.length} files took ${sum(sorted).toFixed(0)} s one by one, ${share} % of it these ${shown.length}:`
  return [head, ...shown.map(({ file, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}`)].join(
    '\n',
  )
}
