/**
 * The seven tasks done the simple way, over a whole log in memory: what the functions are compared with in tests.
 *
 * Nothing is shared with the functions but the reader of lines and the form of a match.
 * @module
 */
import { type LogLine, parseLine } from './line.ts'
import { type Match, matchOf } from './matches.ts'

export interface Naive<T> {
  readonly from: number
  readonly to: number
  readonly result: T
}

interface Entry {
  readonly line: string
  readonly parsed: LogLine
}

const read = (lines: readonly string[]): Entry[] => lines.map((line) => ({ line, parsed: parseLine(line) }))

export function naiveDedup(lines: readonly string[]): string[] {
  return [...new Set(lines)]
}

export function naiveMatches(lines: readonly string[], word: string): Match[] {
  return matchesOf(read(lines), word)
}

export function naiveWordsByMonth(lines: readonly string[]): Record<string, number> {
  const words = new Map<string, Set<string>>()
  for (const { line, parsed } of read(lines)) {
    const month = new Date(parsed.timeMs).toISOString().slice(0, 7)
    const known = words.get(month) ?? new Set()
    for (const word of line.split(' ')) if (word !== '') known.add(word)
    words.set(month, known)
  }
  return Object.fromEntries([...words].map(([month, known]) => [month, known.size]))
}

/** Windows of time that hold anything, each with what `judge` makes of its lines. */
export function naiveByTime<T>(
  lines: readonly string[],
  sizeMs: number,
  slideMs: number,
  judge: (lines: readonly Entry[]) => T,
): Naive<T>[] {
  const entries = read(lines)
  const starts = new Set<number>()
  for (const { parsed } of entries) {
    const last = Math.floor(parsed.timeMs / slideMs) * slideMs
    for (let from = last; from > parsed.timeMs - sizeMs; from -= slideMs) starts.add(from)
  }
  return [...starts]
    .sort((a, b) => a - b)
    .map((from) => {
      const inside = entries.filter(({ parsed }) => parsed.timeMs >= from && parsed.timeMs < from + sizeMs)
      return { from, to: from + sizeMs, result: judge(inside) }
    })
}

/** Full windows of messages. */
export function naiveByMessages<T>(
  lines: readonly string[],
  size: number,
  slide: number,
  judge: (lines: readonly Entry[]) => T,
): Naive<T>[] {
  const entries = read(lines)
  const windows: Naive<T>[] = []
  for (let from = 0; from + size <= entries.length; from += slide)
    windows.push({ from, to: from + size, result: judge(entries.slice(from, from + size)) })
  return windows
}

export function matchesOf(entries: readonly Entry[], word: string): Match[] {
  return entries.filter(({ line }) => line.includes(word)).map(({ parsed }) => matchOf(parsed))
}

export function distinctWords(entries: readonly Entry[]): number {
  return new Set(entries.flatMap(({ line }) => line.split(' ').filter((word) => word !== ''))).size
}
