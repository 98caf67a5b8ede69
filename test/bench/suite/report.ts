/**
 * How a benchmark tells what it saw: a table for people, JSON lines for programs.
 *
 * Each figure makes one line of JSON, all of the same shape; the headline's is the last and bears the benchmark's bare
 * name, the others' names are `benchmark.figure`. A ratio is Concord's value over the reference's in the same run, of which the
 * median is told: what slows the machine for a while slows both. Where the two took turns within one measurement, it is of
 * their turns.
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
          Object.entries(references).flatMap(([name, side]) => {
            const of = median(side.values[figure] ?? [0])
            // Nothing stands in no ratio to it: a reference too short to be measured is left out.
            return of === 0 ? [] : [[name, { median: of, ratio: median(ratios(concord, side, figure)) }]]
          }),
        ),
        checks: concord.checks,
      }
    })
    .reverse()
}

/**
 * The table: a block for each figure that is compared, in it a row for Concord and for each reference. Figures that are
 * not compared are further columns of the first block.
 */
export function tableText(result: Result, machine: string): string {
  const { benchmark, concord, references } = result
  const figures = Object.keys(benchmark.figures).filter((figure) => figure in concord.values)
  const isCompared = (figure: string): boolean => benchmark.figures[figure]!.compared !== false
  const [first, ...others] = figures.filter(isCompared)
  const aside = figures.filter((figure) => !isCompared(figure))
  return [
    `${benchmark.name}: ${benchmark.measures}`,
    machine,
    '',
    ...(first === undefined ? [] : block(result, first, aside)),
    ...others.flatMap((figure) => ['', ...block(result, figure, [])]),
    '',
    `lost ${concord.checks.lost}, repeated ${concord.checks.repeated}, reordered ${concord.checks.reordered}`,
    ...faults(references),
    `Not measured: ${benchmark.measuresNot}`,
    '',
  ].join('\n')
}

/** Lines of aligned cells. */
function block(result: Result, figure: string, aside: readonly string[]): string[] {
  const { concord, references, runs } = result
  const heading = (name: string): string => {
    const { title, unit } = result.benchmark.figures[name]!
    return `${title}, ${unit}`
  }
  const header = [
    `median of ${runs} runs`,
    heading(figure),
    'spread',
    'ratio',
    'spread',
    ...aside.map(heading),
  ]
  const row = (label: string, side: SideResult): string[] => [
    label,
    ...comparedCells(concord, side, figure),
    ...aside.map((name) => (name in side.values ? format(median(side.values[name]!)) : '')),
  ]
  const rows = Object.entries(references)
    .filter(([, side]) => [figure, ...aside].some((name) => name in side.values))
    .map(([name, side]) => row(`(${name}) ${side.label}`, side))
  return align([header, row(concord.label, concord), ...rows])
}

function comparedCells(concord: SideResult, side: SideResult, figure: string): string[] {
  const values = side.values[figure]
  if (values === undefined) return ['', '', '', '']
  const cells = [format(median(values)), spreadCell(values)]
  const of = ratios(concord, side, figure)
  if (side === concord || !of.every(Number.isFinite)) return [...cells, '', '']
  return [...cells, `${format(median(of))} ×`, spreadCell(of)]
}

function spreadCell(values: readonly number[]): string {
  return `± ${(spread(values) * 100).toFixed(0)} %`
}

/** Run by run. */
function ratios(concord: SideResult, side: SideResult, figure: string): number[] {
  const measured = side.ratios[figure]
  if (measured !== undefined) return [...measured]
  const own = concord.values[figure]!
  return side.values[figure]!.map((value, run) => own[run]! / value)
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  return rows.map((row) => line(row).trimEnd())
}

/** B3 of benchmark.ts. */
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
