/**
 * How a benchmark tells what it saw: a table for people, JSON lines for programs.
 *
 * Each figure makes one line of JSON, all of the same shape; the headline's is the last and bears the benchmark's bare
 * name, the others' names are `benchmark.figure`. A ratio is always Concord's median over the reference's.
 * @module
 */
import type { Checks, Result, SideResult } from './benchmark.ts'
import { median, spread } from './statistics.ts'

/** One line of `--json`. */
export interface FigureReport {
  readonly name: string
  readonly machine: string
  readonly runs: number
  readonly median: number
  readonly unit: string
  readonly spread: number
  readonly reference: Readonly<Record<string, { readonly median: number; readonly ratio: number }>>
  readonly checks: Checks
}

/** The headline last. */
export function figureReports(result: Result, machine: string): FigureReport[] {
  const { benchmark, concord, references, runs } = result
  const measured = Object.entries(benchmark.figures).filter(([figure]) => figure in concord.values)
  return measured
    .map(([figure, { unit }], index) => {
      const values = concord.values[figure]!
      return {
        name: index === 0 ? benchmark.name : `${benchmark.name}.${figure}`,
        machine,
        runs,
        median: median(values),
        unit,
        spread: spread(values),
        reference: Object.fromEntries(
          Object.entries(references)
            .filter(([, side]) => figure in side.values)
            .map(([name, side]) => {
              const of = median(side.values[figure]!)
              return [name, { median: of, ratio: median(values) / of }]
            }),
        ),
        checks: concord.checks,
      }
    })
    .reverse()
}

/** The table: a row for Concord and for each reference, a column or two for each figure. */
export function tableText(result: Result, machine: string): string {
  const { benchmark, concord, references, runs } = result
  const figures = Object.keys(benchmark.figures).filter((figure) => figure in concord.values)
  const sides: [string, SideResult][] = [['', concord], ...Object.entries(references)]
  const header = [`median of ${runs} runs`, ...figures.flatMap((figure) => headings(result, figure))]
  const rows = sides.map(([name, side]) => [
    name === '' ? side.label : `(${name}) ${side.label}`,
    ...figures.flatMap((figure) => cells(result, figure, side)),
  ])
  const widths = header.map((_, i) => Math.max(...[header, ...rows].map((row) => row[i]!.length)))
  const lines = [header, ...rows].map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
  return [
    `${benchmark.name}: ${benchmark.measures}`,
    machine,
    '',
    ...lines,
    '',
    `lost ${concord.checks.lost}, repeated ${concord.checks.repeated}, reordered ${concord.checks.reordered}`,
    ...faults(references),
    `Not measured: ${benchmark.measuresNot}`,
    '',
  ].join('\n')
}

function headings({ benchmark }: Result, figure: string): string[] {
  const { title, unit, compared } = benchmark.figures[figure]!
  const heading = `${title}, ${unit}`
  return compared === false ? [heading] : [heading, 'spread', 'ratio']
}

function cells({ benchmark, concord }: Result, figure: string, side: SideResult): string[] {
  const compared = benchmark.figures[figure]!.compared !== false
  const values = side.values[figure]
  if (values === undefined) return compared ? ['', '', ''] : ['']
  const middle = median(values)
  if (!compared) return [format(middle)]
  const ratio = side === concord ? '' : `${format(median(concord.values[figure]!) / middle)} ×`
  return [format(middle), `± ${(spread(values) * 100).toFixed(0)} %`, ratio]
}

/** B3. */
function faults(references: Result['references']): string[] {
  return Object.entries(references)
    .filter(([, { checks }]) => checks.lost + checks.repeated + checks.reordered > 0)
    .map(
      ([name, { checks }]) =>
        `Reference (${name}) lost ${checks.lost}, repeated ${checks.repeated}, reordered ${checks.reordered}: its figures mean nothing`,
    )
}

export function format(value: number): string {
  if (value === 0) return '0'
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
}
