/**
 * concord graph: draws the topology.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Option } from 'commander'
import type { ConcordClient } from '../../client/index.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { graphDot, graphMermaid, graphSvg } from '../graph/formats.ts'
import { type Graph, graphOf, ratesBetween } from '../graph/model.ts'
import { graphText } from '../graph/text.ts'
import { wholeNumber } from '../numbers.ts'
import { print, printJson, shortNumber } from '../terminal.ts'

const formats = {
  text: graphText,
  dot: graphDot,
  mermaid: graphMermaid,
  svg: graphSvg,
} as const satisfies Record<string, (graph: Graph) => string>

interface GraphOptions extends ServerOptions {
  readonly format: keyof typeof formats
  readonly interval: number
}

export function addGraph(program: CliCommand): void {
  program
    .command('graph')
    .summary('Draw the functions and the streams between them.')
    .description('Draw the topology: functions with their instances and rates, and the streams between them.')
    .addOption(
      new Option('--format <format>', 'how to draw it').choices(Object.keys(formats)).default('text'),
    )
    .option('--interval <ms>', 'how long to measure the rates; 0 omits them', wholeNumber(0), 2000)
    .printsData('the topology')
    .talksToServer()
    .example('concord graph', 'concord graph --format svg > topology.svg')
    .action(graph)
}

async function graph({ format, interval, json, ...server }: GraphOptions): Promise<void> {
  const client = connect(server)
  const { topology, rates } = await look(client, interval)
  if (json) return await printJson({ ...topology, rates: Object.fromEntries(rates) })
  await print(formats[format](graphOf(topology, rates, shortNumber)))
}

async function look(client: ConcordClient, intervalMs: number) {
  const before = await client.topology()
  if (intervalMs === 0 || before.functions.length === 0) return { topology: before, rates: new Map() }
  const startedMs = performance.now()
  await sleep(intervalMs)
  const topology = await client.topology()
  return { topology, rates: ratesBetween(before, topology, (performance.now() - startedMs) / 1000) }
}
