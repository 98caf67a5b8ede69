/**
 * Shapes: loads over time, in records a second: built-in ones, or recorded ones from a file.
 * @module
 */
import { CodedError } from '../errors.ts'

/** One value for each second. */
export type Load = readonly number[]

export interface Shape {
  readonly about: string
  /**
   * @param dayS The length of a day in seconds. @param peak The largest number of records a second, without noise.
   */
  readonly of: (dayS: number, peak: number) => Load
}

/** The load of each day of the week, Monday first, as a share of a working day's. */
const weekdays = [1, 1, 1, 1, 0.9, 0.45, 0.35]

export const shapes: Readonly<Record<string, Shape>> = {
  steady: { about: 'half the peak, all day', of: (dayS, peak) => seconds(dayS, () => peak / 2) },
  step: {
    about: 'a tenth of the peak, and all of it for the middle third of a day',
    of: (dayS, peak) => seconds(dayS, (s) => (s >= dayS / 3 && s < (2 * dayS) / 3 ? peak : peak / 10)),
  },
  spike: {
    about: 'a tenth of the peak, and all of it for a hundredth of a day, at noon',
    of: (dayS, peak) => seconds(dayS, (s) => (Math.abs(s / dayS - 0.5) < 0.005 ? peak : peak / 10)),
  },
  day: {
    about: 'a day: little at night, most at noon and in the evening',
    of: (dayS, peak) => seconds(dayS, (s) => peak * ofDay(s / dayS)),
  },
  days: {
    about: 'seven days alike',
    of: (dayS, peak) => seconds(7 * dayS, (s) => peak * ofDay((s / dayS) % 1)),
  },
  weeks: {
    about: 'two weeks, their ends quieter',
    of: (dayS, peak) =>
      seconds(14 * dayS, (s) => peak * ofDay((s / dayS) % 1) * weekdays[Math.floor(s / dayS) % 7]!),
  },
}

/** The share of the peak at a time of day, from 0 to 1: little at night, most at noon and in the evening. */
export function ofDay(time: number): number {
  const hill = (at: number, width: number): number => Math.exp(-(((time - at) / width) ** 2))
  return 0.06 + 0.72 * hill(0.5, 0.12) + 0.94 * hill(0.83, 0.07)
}

/** Adds noise to each second. @param random Uniform in [0, 1). */
export function withNoise(load: Load, share: number, random: () => number): Load {
  return load.map((perSecond) => perSecond * (1 + share * (2 * random() - 1)))
}

/**
 * Reads a recorded load from CSV or JSONL. Each line has a time (milliseconds, or ISO 8601) and the records a second
 * from then on; in JSONL they are `timeMs` or `time`, and `perSecond` or `records`. A heading in CSV and empty lines
 * are skipped.
 * @throws {CodedError} ERR_LOAD_FILE
 */
export function readLoad(text: string, name: string): Load {
  const points: { readonly atMs: number; readonly perSecond: number }[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const point = line.trimStart().startsWith('{') ? fromJson(line) : fromCsv(line)
    if (Number.isFinite(point.atMs) && Number.isFinite(point.perSecond) && point.perSecond >= 0)
      points.push(point)
    else if (i > 0 || line.trimStart().startsWith('{'))
      throw unreadable(
        name,
        `line ${i + 1}, '${line.slice(0, 60)}', is no time and records a second, as in 1769860800000,1200`,
      )
  }
  points.sort((a, b) => a.atMs - b.atMs)
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined || points.length < 2)
    throw unreadable(name, 'it has fewer than two lines with a time and records a second')
  const forS = Math.round((last.atMs - first.atMs) / 1000) + 1
  if (forS > secondsMax)
    throw unreadable(name, `it spans ${forS} s, and at most ${secondsMax} (90 days) are simulated`)
  let at = 0
  return seconds(forS, (s) => {
    while (at + 1 < points.length && points[at + 1]!.atMs <= first.atMs + s * 1000) at++
    return points[at]!.perSecond
  })
}

const secondsMax = 90 * 86_400

function fromJson(line: string) {
  try {
    const { timeMs, time, perSecond, records } = JSON.parse(line) as Record<string, unknown>
    return { atMs: timeOf(timeMs ?? time), perSecond: Number(perSecond ?? records ?? Number.NaN) }
  } catch {
    return { atMs: Number.NaN, perSecond: Number.NaN }
  }
}

function fromCsv(line: string) {
  const [time, perSecond] = line.split(/[,;\t]/)
  return { atMs: timeOf(time?.trim()), perSecond: perSecond?.trim() ? Number(perSecond) : Number.NaN }
}

function timeOf(value: unknown): number {
  const number =
    typeof value === 'number' ? value : value === undefined || value === '' ? Number.NaN : Number(value)
  return Number.isNaN(number) ? Date.parse(String(value)) : number
}

function seconds(count: number, of: (second: number) => number): number[] {
  return Array.from({ length: Math.max(1, Math.round(count)) }, (_, second) => of(second))
}

function unreadable(name: string, why: string): Error {
  return new CodedError('ERR_LOAD_FILE', `Cannot read the load in '${name}': ${why}`)
}
