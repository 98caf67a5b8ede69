/**
 * SimulationText: the text of `concord fn scale simulate`: each run as lines over time, then all of them side by
 * side.
 * @module
 */
import { chartText, type Outcome } from '../../scaling/index.ts'
import { bold, dim, shortNumber, table } from '../terminal.ts'

const columns = 72

export interface Run {
  readonly name: string
  readonly outcome: Outcome
}

export function simulationText(runs: readonly Run[], price: number, from: number): string {
  const charts = runs.map(({ name, outcome }) => {
    const seconds = outcome.seconds.slice(from)
    const rows = [
      { name: 'records/s', values: seconds.map(({ demand }) => demand) },
      { name: 'instances', values: seconds.map(({ wanted }) => wanted) },
      { name: 'waiting', values: seconds.map(({ backlog }) => backlog) },
      { name: 'behind', values: seconds.map(({ behindMs }) => behindMs / 1000), unit: ' s' },
    ]
    return `${bold(name)} ${dim(`${seconds.length} s`)}\n${chartText(rows, columns)}`
  })
  return [...charts, figuresTable(runs, price)].join('\n\n')
}

function figuresTable(runs: readonly Run[], price: number): string {
  const rows: [string, (outcome: Outcome) => string][] = [
    ['instances at most', ({ seconds }) => String(Math.max(...seconds.map(({ wanted }) => wanted)))],
    ['changes', ({ changes }) => String(changes.length)],
    ['instance-seconds', ({ instanceSeconds }) => shortNumber(instanceSeconds)],
    ['  of these needed', ({ neededSeconds }) => shortNumber(neededSeconds)],
    ['over-provisioned', ({ overSeconds }) => shortNumber(overSeconds)],
    ['under-provisioned', ({ underSeconds }) => shortNumber(underSeconds)],
    ['seconds over target', ({ overTargetSeconds }) => String(overTargetSeconds)],
    ['behind at most', ({ behindMaxMs }) => `${shortNumber(behindMaxMs / 1000)} s`],
    ['cost', ({ instanceSeconds }) => ((instanceSeconds / 3600) * price).toFixed(2)],
  ]
  const heading = ['', ...runs.map(({ name }) => name.toUpperCase())]
  return table([heading, ...rows.map(([name, of]) => [name, ...runs.map(({ outcome }) => of(outcome))])])
}
