/**
 * How a benchmark tells what it saw: a table for people, one JSON object for programs.
 * @module
 */
import { machine } from './machine.ts'

export interface Checks {
  readonly lost: number
  readonly repeated: number
  readonly reordered: number
}

export interface Figure {
  readonly label: string
  readonly unit: string
  /** One value a run. */
  readonly values: readonly number[]
}

export interface BenchResult {
  readonly name: string
  readonly main: Figure
  readonly references: Readonly<Record<string, Figure>>
  /** Further rows of the table. */
  readonly others: readonly Figure[]
  readonly checks: Checks
  /** What it does not measure, in a sentence or two. */
  readonly caveat: string
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Half the range of the runs, as a share of the median. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / 2 / median(values)
}

export function printTable(result: BenchResult): void {
  const rows = [result.main, ...Object.values(result.references), ...result.others].map((figure) => [
    figure.label,
    format(median(figure.values)),
    figure.unit,
    `± ${(spread(figure.values) * 100).toFixed(1)} %`,
    figure.unit === result.main.unit && figure !== result.main
      ? `${(median(result.main.values) / median(figure.values)).toFixed(2)} ×`
      : '',
  ])
  const header = [result.name, 'median', 'unit', `of ${result.main.values.length} runs`, 'ratio']
  const widths = header.map((_, i) => Math.max(...[header, ...rows].map((row) => row[i]!.length)))
  console.log(machine())
  for (const row of [header, ...rows]) {
    console.log(
      row
        .map((cell, i) => (i === 0 || i === 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  '),
    )
  }
  const { lost, repeated, reordered } = result.checks
  console.log(`lost ${lost}, repeated ${repeated}, reordered ${reordered}`)
  console.log(result.caveat)
}

export function printJson(result: BenchResult): void {
  const reference = Object.fromEntries(
    Object.entries(result.references).map(([name, figure]) => {
      const of = median(figure.values)
      return [
        name,
        { median: of, ratio: figure.unit === result.main.unit ? median(result.main.values) / of : null },
      ]
    }),
  )
  console.log(
    JSON.stringify({
      name: result.name,
      machine: machine(),
      runs: result.main.values.length,
      median: median(result.main.values),
      unit: result.main.unit,
      spread: spread(result.main.values),
      reference,
      others: Object.fromEntries(
        result.others.map((figure) => [figure.label, { median: median(figure.values), unit: figure.unit }]),
      ),
      checks: result.checks,
    }),
  )
}

function format(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
}
